import type { CatalogueModel } from "./types/CatalogueModel";
import type { FoundRepo } from "./types/FoundRepo";
import type { ModelUse } from "./types/ModelUse";
import type { RepoKind } from "./types/RepoKind";

type Row = [repo: string, family: string, millions: number, mib: number, licence: string, gated: boolean, suits: ModelUse];

const ROWS: readonly Row[] = [
  ["sentence-transformers/all-MiniLM-L6-v2", "bert", 23, 87, "apache-2.0", false, "starter"],
  ["intfloat/multilingual-e5-small", "bert", 118, 466, "mit", false, "multilingual"],
  ["BAAI/bge-small-zh-v1.5", "bert", 24, 92, "mit", false, "chinese"],
  ["answerdotai/ModernBERT-base", "modernbert", 150, 572, "apache-2.0", false, "encoder"],
  ["Qwen/Qwen3-0.6B", "qwen3", 596, 1434, "apache-2.0", false, "small_decoder"],
  ["meta-llama/Llama-3.2-1B", "llama", 1236, 2357, "llama3.2", true, "small_decoder"],
  ["microsoft/Phi-3-mini-4k-instruct", "phi3", 3821, 7288, "mit", false, "large_decoder"],
  ["microsoft/Phi-4-mini-instruct", "phi3", 3836, 7317, "mit", false, "large_decoder"],
];

/** The catalogue as the program has it. */
export const CATALOGUE: readonly CatalogueModel[] = ROWS.map(
  ([repo, family, millions, download_mib, licence, gated, suits]) => ({
    repo,
    family,
    millions,
    download_mib,
    licence,
    gated,
    suits,
    full_mib: Math.floor((millions * 16e6) / 1_048_576),
    lora_mib: Math.floor((millions * 2e6) / 1_048_576),
  }),
);

/** What a search can find. */
export const FOUND: Readonly<Record<RepoKind, readonly FoundRepo[]>> = {
  model: [
    { repo: "Qwen/Qwen3-0.6B", downloads: 5_401_223, likes: 612, gated: false, family: "qwen3" },
    { repo: "Qwen/Qwen3-1.7B", downloads: 2_210_034, likes: 240, gated: false, family: "qwen3" },
    { repo: "some-lab/gated-Qwen3-with-a-rather-long-name-of-its-own", downloads: 1, likes: 0, gated: true, family: null },
  ],
  dataset: [
    { repo: "minhaozhang/mbti", downloads: 412, likes: 3, gated: false, family: null },
    { repo: "somebody/mbti-posts", downloads: null, likes: null, gated: false, family: null },
  ],
};

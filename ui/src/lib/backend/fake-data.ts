import { AXES, lettersOf, TYPES } from "../axes";
import type { DataSet } from "./types/DataSet";
import type { DataSetDetail } from "./types/DataSetDetail";
import type { ImportReport } from "./types/ImportReport";
import type { Problem } from "./types/Problem";
import type { ProblemCode } from "./types/ProblemCode";
import type { SkippedRow } from "./types/SkippedRow";

export function problem(code: ProblemCode, params: Record<string, string> = {}): Problem {
  return { code, params, message: `${code} ${JSON.stringify(params)}` };
}

/** A whole number from a text, the same each time: the stand-in for everything random. */
export function hash(text: string): number {
  let value = 2166136261;
  for (const character of text) {
    value = Math.imul(value ^ character.codePointAt(0)!, 16777619);
  }
  return value >>> 0;
}

const SKIPPED: readonly SkippedRow[] = [
  { line: 17, reason: "unknown_type", found: "INXP" },
  { line: 58, reason: "empty_text", found: "" },
  { line: 203, reason: "type_and_axis_differ", found: "ENTP, E-I: I" },
  { line: 204, reason: "wrong_number_of_cells", found: "7 cells, 5 columns" },
  { line: 377, reason: "unknown_type", found: "unknown" },
];

/** Which problem importing this path gives, if any: the words in it choose. */
export function importProblem(path: string): Problem | null {
  if (path.includes("missing")) return problem("not_found", { path });
  if (path.includes("empty")) return problem("empty_file", { path });
  if (path.includes("binary")) return problem("not_text", { path, line: "1" });
  if (path.includes("columns")) {
    return problem("unknown_columns", { path, found: "id, comment", expected: "body and mbti" });
  }
  if (path.includes("unusable")) {
    return problem("no_usable_row", { path, rows: "12", line: "2", reason: "unknown_type" });
  }
  return null;
}

export function nameFromPath(path: string): string {
  const file = path.split(/[/\\]/).at(-1) ?? path;
  return file.replace(/\.[^.]*$/, "") || file;
}

export function createDataSet(id: number, name: string, source: string, madeUp: boolean): ImportReport {
  const types: Record<string, number> = {};
  for (const type of TYPES) {
    // Introverted and intuitive types are much the commoner in such data.
    const share = (type[0] === "I" ? 3 : 1) * (type[1] === "N" ? 4 : 1);
    types[type] = share * 10 + (hash(name + type) % 12);
  }
  const examples = Object.values(types).reduce((sum, count) => sum + count, 0);
  const skipped = madeUp ? [] : [...SKIPPED];
  const dataSet: DataSet = {
    id,
    name,
    source,
    made_up: madeUp,
    examples,
    authors: name.includes("posts") ? null : Math.ceil(examples / 8),
    skipped: skipped.length,
    types,
    bytes: examples * 210,
    created_at: new Date().toISOString(),
    fingerprint: `hash of ${name}`,
  };
  return {
    cleaning: null,
    data_set: dataSet,
    rows: examples + skipped.length,
    skipped_by_reason: countByReason(skipped),
    skipped,
  };
}

export function createDetail({ data_set, skipped, skipped_by_reason }: ImportReport): DataSetDetail {
  const axes: DataSetDetail["axes"] = {};
  AXES.forEach((axis, place) => {
    const counts: [number, number] = [0, 0];
    for (const [type, count] of Object.entries(data_set.types)) {
      counts[type[place] === lettersOf(axis)[0] ? 0 : 1] += count;
    }
    axes[axis] = counts;
  });
  return {
    data_set,
    axes,
    length_percentiles: [42, 148, 610],
    lengths: [0, 2, 9, 31, 88, 240, 512, 700, 330, 77],
    author_types: data_set.authors === null ? {} : { INFP: 3, INTJ: 2, ESTJ: 1 },
    authors_of_several_types: 0,
    texts_an_author: data_set.authors === null ? null : [4, 8, 21, 60],
    look: {
      texts: data_set.examples,
      languages: { en: Math.floor(data_set.examples * 0.8), zh: data_set.examples - Math.floor(data_set.examples * 0.8) },
      type_words: 3,
      own_type_named: 1,
      telling_words: {
        "E-I": [
          [{ word: "party", z: 4.2, first: 31, second: 6 }],
          [{ word: "quiet", z: 3.9, first: 5, second: 28 }],
        ],
      },
    },
    recipe: { source: data_set.source, mapping: null, encoding: null, delimiter: null, origin: null, steps: [] },
    cleaning: null,
    skipped_by_reason,
    skipped,
    samples: [
      { author: "made-up-en-001", mbti: "INFP", text: "I kept the letter for a week before I dared to open it." },
      { author: "made-up-en-014", mbti: "ESTJ", text: "The list is done, the car is packed, and we leave at eight." },
      { author: "made-up-zh-003", mbti: "INTP", text: "昨晚又想了很久那个问题，也许前提本身就错了。" },
    ].map((sample) => ({ ...sample, author: data_set.authors === null ? null : sample.author })),
  };
}

function countByReason(rows: readonly SkippedRow[]): ImportReport["skipped_by_reason"] {
  const counts: ImportReport["skipped_by_reason"] = {};
  for (const { reason } of rows) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}

import type { TokenSource } from "./backend/types/TokenSource";
import { t } from "./i18n";

/** Where a token was found, in words. */
export function tokenPlace(source: TokenSource): string {
  switch (source.kind) {
    case "environment":
      return t("place_environment", { name: source.name });
    case "env_file":
      return t("place_env_file", { name: source.name, path: source.path });
    case "keyring":
      return t("place_keyring");
    case "own_file":
    case "hugging_face_file":
      return t("place_file", { path: source.path });
  }
}

/** Whether it is the one that the program itself keeps. */
export function isOwnToken(source: TokenSource): boolean {
  return source.kind === "keyring" || source.kind === "own_file";
}

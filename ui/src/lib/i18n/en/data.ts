import type { CleaningStep } from "../../backend/types/CleaningStep";
import type { SourceFormat } from "../../backend/types/SourceFormat";

/** Looking into files, and what is made out of data sets. */
export const data = {
  look_button: "Look into it",
  look_hint: "Shows what is in it and which column is taken for what, before anything is kept.",
  preview_format: "{format}, {encoding}.",
  preview_files: "{n} file; the first:|{n} files; the first:",
  column_text: "Text",
  column_author: "Author",
  column_type: "Type",
  column_axes: "Columns of single axes",
  column_one: "1 means",
  columns_needed: "Choose the column of the text, and that of the type or of all four axes.",
  cleaning_step: "What was done",
  cleaning_changed: "Texts changed",
  cleaning_dropped: "Left out",
  cleaning_examples: "Examples: {step}",
  cleaning_left_out: "left out",
  leaks_title: "Leak meter",
  leaks_hint: "How much of a validation part of 20 % can be known without having learned anything about types.",
  leaks_button: "Measure",
  split_by_label: "Split",
  by_author: "by author",
  by_text: "by text",
  leaks_share: "of {texts} validation texts leak.",
  leaks_authors: "By authors who are learned from too",
  leaks_exact: "Learned from word by word",
  leaks_near: "Nearly learned from",
  leaks_named: "Naming their author's own type",
  leaks_type_words: "With any word that gives away a type",
  advice_authors: "Split by author, so that nobody's texts are on both sides.",
  advice_duplicates: "Leave out duplicates: clean the data set.",
  advice_type_words: "Mask the words that give away a type: clean the data set.",
  clean_title: "Clean",
  clean_hint: "Makes a new data set and counts what each step does; this one stays as it is.",
  shortest_label: "Fewest characters",
  made_name: "Name of the new data set",
  clean_button: "Clean",
  split_title: "Part",
  split_hint: "Makes {name}-train and {name}-valid and, where a test part is wanted, {name}-test, each type in proportion.",
  split_valid: "Validation, %",
  split_test: "Test, %",
  split_button: "Part",
  making: "The new data set is being made…",
} as const;

export const source_formats = {
  delimited: "A table of text",
  json_lines: "JSON Lines",
  parquet: "Parquet",
} as const satisfies Record<SourceFormat, string>;

export const cleaning_steps = {
  authors_of_several_types: "Authors of several types",
  invisible: "Invisible characters",
  urls: "Addresses",
  reddit_links: "Links of Reddit",
  type_words: "Type words",
  languages: "Languages",
  exact_duplicates: "Exact duplicates",
  near_duplicates: "Near duplicates",
  cut: "Cut",
  join: "Joined",
  shortest: "Too short",
  longest: "Too long",
} as const satisfies Record<CleaningStep, string>;

/** What can be asked for with a tick. */
export const cleaning_choices = {
  authors_of_several_types: "Leave out authors whose texts have several types",
  invisible: "Take out control characters and those without width",
  urls: "Mask web addresses with [URL]",
  reddit_links: "Mask links such as r/mbti with [LINK]",
  type_words: "Mask words that name or give away a type with [TYPE]",
  exact_duplicates: "Leave out texts that are there already",
  near_duplicates: "Leave out texts that are nearly there already",
  shortest: "Leave out texts with fewer characters than",
} as const;

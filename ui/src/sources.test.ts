import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "svelte/compiler";
import { describe, expect, it } from "vitest";

const sources = readdirSync("src", { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
const code = sources.filter((path) => /\.(ts|svelte)$/.test(path) && !path.endsWith(".test.ts"));
const components = code.filter((path) => path.endsWith(".svelte"));
const read = (path: string) => readFileSync(join("src", path), "utf8");

interface Node {
  type?: string;
  [key: string]: unknown;
}

describe("the door to Tauri", () => {
  it("is one file", () => {
    expect(code.filter((path) => read(path).includes("@tauri-apps/"))).toEqual(["lib/backend/tauri.ts"]);
    expect(code.filter((path) => read(path).includes("__TAURI"))).toEqual(["lib/backend/index.ts"]);
  });
});

describe("what the content security policy refuses", () => {
  it("is in no source", () => {
    for (const path of code) {
      expect(read(path), path).not.toMatch(/\beval\(|new Function\(|\{@html|<[a-z][^>]*\sstyle=/);
      // The dictionaries and the stand-in name the Hub's address as a word to be read.
      const mayName = /^lib\/(i18n|backend\/fake)/.test(path) ? "|huggingface\\.co" : "";
      expect(read(path), path).not.toMatch(new RegExp(`https?:\\/\\/(?!github\\.com\\/Aleph-Alpha${mayName})`));
    }
    const page = readFileSync("index.html", "utf8");
    expect(page).not.toMatch(/<style|\sstyle=|\son\w+=|https?:/);
    expect(page).not.toMatch(/<script(?![^>]*\ssrc=)/);
  });
});

describe("visible words", () => {
  it("are found by the scan where there are some", () => {
    expect(hardCoded("<p>Hello</p>")).toEqual(["Hello"]);
    expect(hardCoded("<p>你好</p>")).toEqual(["你好"]);
    expect(hardCoded('<a title="Hello">{t("x")}</a>')).toEqual(["Hello"]);
    expect(hardCoded('<a aria-label={x ? "Hello" : y}></a>')).toEqual(["Hello"]);
    expect(hardCoded('<p>{busy ? "Wait" : t("go")}</p>')).toEqual(["Wait"]);
    expect(hardCoded('<Box label="Hello" />')).toEqual(["Hello"]);
    expect(hardCoded('<p class="a" data-x="b">{a === "running" ? t("on") : ""} ({n})</p>')).toEqual([]);
  });

  it.each(components)("come from the dictionaries in %s", (path) => {
    expect(hardCoded(read(path))).toEqual([]);
  });
});

const VISIBLE = new Set(["title", "alt", "placeholder", "label", "question", "action", "aria-label", "aria-description"]);

/** Text in the markup of a component that a user would see or hear and no dictionary holds. */
function hardCoded(source: string): string[] {
  const found: string[] = [];
  visit(parse(source, { modern: true }).fragment as unknown as Node, true);
  return found;

  function visit(node: Node, visible: boolean): void {
    if (node.type === "Text" && visible) keep(String(node["data"]));
    else if (node.type === "Attribute") visitAttribute(node);
    else if (node.type === "ExpressionTag") {
      if (visible) literals(node["expression"] as Node);
    } else children(node).forEach((child) => visit(child, visible));
  }

  function visitAttribute(node: Node): void {
    const visible = VISIBLE.has(String(node["name"]));
    const value = node["value"];
    for (const part of Array.isArray(value) ? value : [value]) {
      if (part && typeof part === "object") visit(part as Node, visible);
    }
  }

  /** The strings that an expression may come to, not those that it compares or passes on. */
  function literals(node: Node): void {
    if (node.type === "Literal" && typeof node["value"] === "string") keep(node["value"]);
    else if (node.type === "TemplateElement") keep((node["value"] as { raw: string }).raw);
    else if (node.type === "ConditionalExpression") {
      literals(node["consequent"] as Node);
      literals(node["alternate"] as Node);
    } else if (node.type === "LogicalExpression" || node.type === "TemplateLiteral") {
      children(node).forEach(literals);
    }
  }

  function keep(text: string): void {
    if (/\p{L}/u.test(text)) found.push(text.trim());
  }
}

function children(node: Node): Node[] {
  return Object.values(node)
    .flatMap((value) => (Array.isArray(value) ? value : [value]))
    .filter((value): value is Node => typeof value === "object" && value !== null);
}

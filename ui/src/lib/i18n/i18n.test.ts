import { describe, expect, it } from "vitest";
import type { Problem } from "../backend/types/Problem";
import { data } from "./en/data";
import { hub } from "./en/hub";
import { report } from "./en/report";
import { training } from "./en/training";
import { fill, placeholders } from "./fill";
import { deviceCalled, dictionaries, problemText, setLanguage, t } from "./index";

const { en, zh } = dictionaries;
const sections = Object.keys(en) as (keyof typeof en)[];

describe("the dictionaries", () => {
  it.each(sections)("have the same keys and placeholders in %s", (section) => {
    const english: Record<string, string> = en[section];
    const chinese: Record<string, string> = zh[section];
    expect(Object.keys(chinese).sort()).toEqual(Object.keys(english).sort());
    for (const [key, message] of Object.entries(english)) {
      expect(placeholders(chinese[key]!), `${section}.${key}`).toEqual(placeholders(message));
      expect(message.trim(), `${section}.${key}`).not.toBe("");
      expect(chinese[key]!.trim(), `${section}.${key}`).not.toBe("");
    }
  });

  it("write no word of one part over that of another", () => {
    for (const part of [data, hub, report, training]) {
      for (const [key, message] of Object.entries(part)) expect(en.window[key as keyof typeof en.window], key).toBe(message);
    }
  });

  it("fill the same placeholders in both forms of a plural", () => {
    for (const section of sections) {
      for (const [key, message] of Object.entries(en[section])) {
        if (!message.includes("|") || message.includes("|||")) continue;
        const [one, other] = message.split("|");
        expect(placeholders(one!), key).toEqual(placeholders(other!));
        expect(placeholders(one!), key).toContain("n");
      }
    }
  });

  it("speak Chinese in Chinese, with its own punctuation", () => {
    const foreign = new Set(["program", "mcc", "nav_hub", "hub_title"]);
    for (const section of sections) {
      for (const [key, message] of Object.entries(zh[section])) {
        const isBare = !/[A-Za-z]/.test(message.replace(/\{\w+\}/g, ""));
        if (foreign.has(key) || isBare || key === "device") continue;
        expect(message, key).toMatch(/[\u4e00-\u9fff]/);
        expect(message, key).not.toMatch(/[\u4e00-\u9fff][,;:?!]/);
      }
    }
  });

  it("name the parameters that the Rust side sends with each problem", () => {
    const sent: Record<keyof typeof en.problems, string[]> = {
      cannot_read: ["path", "reason"],
      cannot_write: ["path", "reason"],
      not_found: ["path"],
      empty_file: ["path"],
      not_text: ["line", "path"],
      nul_characters: ["line", "path"],
      long_row: ["path"],
      packed_too_well: ["path"],
      bad_format: ["format", "path", "reason"],
      no_files: ["endings", "path"],
      no_such_column: ["found", "name", "path"],
      split_leaks: ["authors", "duplicates", "named", "share", "texts"],
      file_exists: ["path"],
      in_home: ["home", "path"],
      stopped: [],
      unknown_columns: ["expected", "found", "path"],
      no_usable_row: ["line", "path", "reason", "rows"],
      name_taken: ["name"],
      bad_name: ["name"],
      in_use: ["name", "run"],
      unknown_data_set: ["known", "name"],
      unknown_model: ["known", "name"],
      unknown_run: ["run"],
      unknown_family: ["path", "reason"],
      incomplete_model: ["missing", "path"],
      adapter_only: ["path"],
      base_of_adapter: ["name", "run"],
      quantized_from: ["method", "original", "path"],
      quantized_model: ["method", "path"],
      weight_mismatch: ["expected", "found", "path", "weight"],
      bad_weights: ["path", "reason"],
      bad_model_file: ["path", "reason"],
      bad_setting: ["allowed", "name", "value"],
      one_class_only: ["axis", "letter", "texts"],
      too_few_texts: ["part", "texts"],
      too_few_authors: ["authors", "folds"],
      too_few_of_letter: ["axis", "count", "folds", "letter"],
      loss_not_finite: ["checkpoint", "rows", "step"],
      cannot_fit: ["available", "memory_of", "needed", "settings"],
      batch_halved: ["batch_size", "gradient_accumulation_steps", "step"],
      answers_constant: ["learning_rate"],
      loss_not_falling: ["constant", "loss", "steps"],
      loss_diverged: ["constant", "learning_rate", "loss", "steps"],
      gradients_clipped: ["learning_rate", "limit", "norm", "steps"],
      out_of_memory: ["memory_of", "moment", "settings"],
      unreadable_texts: ["percent"],
      checkpoint_passed_over: ["path", "reason"],
      nothing_to_resume: ["run"],
      checkpoint_mismatch: ["path", "reason"],
      other_folds: ["name", "run"],
      folds_differ: ["run"],
      no_answers: ["fold", "run"],
      fold_ended: ["fold", "fold_run", "run", "status"],
      no_bf16_products: [],
      no_tf32: [],
      bad_config_file: ["path", "reason"],
      no_such_device: ["device"],
      device_unusable: ["device", "reason"],
      device_lost: ["device", "reason", "remedy", "when"],
      device_changed: ["from", "to"],
      empty_text: [],
      run_has_no_model: ["run", "status"],
      no_finished_run: [],
      not_evaluated: ["name", "run"],
      other_texts: ["first", "name", "second"],
      run_is_active: ["run"],
      run_has_ended: ["run", "status"],
      engine_not_started: ["path", "reason"],
      engine_gone: [],
      bad_history: ["path", "reason"],
      no_token: [],
      token_of_another: ["endpoint", "kept_for"],
      bad_token: [],
      wrong_token: ["source"],
      unknown_token: [],
      not_for_the_hub: ["run"],
      token_outside: ["largest", "path", "rows"],
      no_access: ["repo"],
      no_right: ["repo"],
      gated_repo: ["page", "repo"],
      no_repo: ["repo"],
      no_revision: ["repo", "revision"],
      bad_revision: ["revision"],
      repo_elsewhere: ["endpoint", "repo"],
      bad_repo: ["repo"],
      nothing_usable: ["needed", "repo"],
      no_split: ["known", "repo", "split"],
      rate_limited: ["seconds"],
      no_network: ["host", "reason"],
      server_trouble: ["host", "status"],
      server_refuses: ["host", "status"],
      bad_answer: ["host"],
      offline: ["what"],
      no_uploads: ["host"],
      insecure_endpoint: ["host"],
      bad_hub_setting: ["name", "value"],
      no_room: ["free", "needed", "path"],
      wrong_hash: ["path", "repo"],
      repo_changed: ["repo"],
      not_chosen: [],
      not_agreed: [],
      internal: [],
    };
    for (const [code, params] of Object.entries(sent)) {
      expect(placeholders(en.problems[code as keyof typeof sent]), code).toEqual(params);
    }
  });
});

describe("fill", () => {
  it("writes numbers as the language does and leaves text alone", () => {
    expect(fill("en", "{a} of {b}", { a: 1234.5, b: "1234" })).toBe("1,234.5 of 1234");
  });

  it("chooses the form by n", () => {
    expect(fill("en", "{n} text|{n} texts", { n: 1 })).toBe("1 text");
    expect(fill("en", "{n} text|{n} texts", { n: 0 })).toBe("0 texts");
    expect(fill("zh", "{n} 条", { n: 1 })).toBe("1 条");
  });

  it("shows a dash for a parameter that is absent, and no brace", () => {
    expect(fill("en", "{path} is empty", {})).toBe("— is empty");
  });

  it("does not take a replacement pattern in a parameter for one", () => {
    expect(fill("en", "{path}", { path: "$& {n}" })).toBe("$& {n}");
  });

  it("takes the separator of a file format for no plural", () => {
    expect(fill("en", "with ||| between", {})).toBe("with ||| between");
  });
});

describe("the chosen language", () => {
  it("is switched at once, with <html lang>, and kept", () => {
    setLanguage("zh");
    expect(t("nav_data")).toBe("数据");
    expect(document.documentElement.lang).toBe("zh-CN");
    expect(localStorage.getItem("language")).toBe("zh");
    setLanguage("en");
    expect(t("nav_data")).toBe("Data");
    expect(document.documentElement.lang).toBe("en");
  });
});

describe("a problem's sentence", () => {
  const badSetting: Problem = {
    code: "bad_setting",
    params: { name: "per_device_train_batch_size", value: "0", allowed: "a whole number from 1" },
    message: "",
  };

  it("has names and allowed values in the user's language", () => {
    setLanguage("zh");
    const text = problemText(badSetting);
    expect(text).toContain("每批文本数");
    expect(text).toContain("从 1 起的整数");
    setLanguage("en");
    expect(problemText(badSetting)).toContain("Texts in one batch");
  });

  it("names what class weights can be", () => {
    const wrong: Problem = { code: "bad_setting", params: { name: "class_weights", value: "0.6" }, message: "" };
    setLanguage("zh");
    expect(problemText(wrong)).toContain("类别权重");
    expect(problemText(wrong)).toContain("0.6,0.4");
    setLanguage("en");
    expect(problemText(wrong)).toContain(en.allowed.class_weights);
  });

  it("tells in the user's language why a format of weights is not read", () => {
    const problem: Problem = {
      code: "bad_weights",
      params: { path: "/models/x/pytorch_model.bin", reason: "pickle" },
      message: "",
    };
    setLanguage("zh");
    expect(problemText(problem)).toContain("运行其中的程序");
    setLanguage("en");
    expect(problemText(problem)).toContain("can run programs");
    expect(problemText({ ...problem, params: { path: "/x", reason: "it is too short" } })).toContain("too short");
  });

  it("tells in the user's language why a graphics card cannot be used", () => {
    const params = { device: "cuda:0", kind: "old_driver", found: "535.183.01", needed: "580" };
    const problem: Problem = { code: "device_unusable", params, message: "" };
    setLanguage("zh");
    expect(problemText(problem)).toContain("无法使用 cuda:0：其驱动程序为 535.183.01：请安装 580 或更新版本。");
    setLanguage("en");
    expect(problemText(problem)).toContain("cuda:0 cannot be used: its driver is 535.183.01: install 580 or newer.");
    const byCuda = { ...problem, params: { ...params, found: "CUDA 12.2" } };
    expect(problemText(byCuda)).toContain(": its driver supports only CUDA 12.2: driver 580 or newer, for CUDA 13, is needed.");
    setLanguage("zh");
    expect(problemText(byCuda)).toContain("：其驱动程序最高只支持 CUDA 12.2：需要支持 CUDA 13 的 580 或更新版本驱动程序。");
    setLanguage("en");
    const failed = { ...problem, params: { device: "cuda:0", kind: "failed", reason: "CUDA_ERROR_UNKNOWN" } };
    expect(problemText(failed)).toContain("it does not work: CUDA_ERROR_UNKNOWN.");
    const small = { ...problem, params: { device: "cuda:0", kind: "too_little_memory", needed: "2048", free: "0.25" } };
    expect(problemText(small)).toContain("this run needs at least 2.0 GiB and 256 KiB of its memory are free.");
    setLanguage("zh");
    expect(problemText(small)).toContain("这次训练至少需要 2.0 GiB 显存，而空闲显存只有 256 KiB。");
    setLanguage("en");
    const later = { ...problem, params: { device: "cuda:0", kind: "constructor" } };
    expect(problemText(later)).toContain("cannot be used: constructor.");
  });

  it.each(["zh", "en"] as const)("says in %s what to do where a graphics card lacks something", (language) => {
    setLanguage(language);
    const says = (kind: string, more = {}) =>
      problemText({ code: "device_unusable", params: { device: "cuda:0", kind, ...more }, message: "" });
    expect(says("not_listed")).toMatch(/nvidia-smi.*CUDA_VISIBLE_DEVICES/);
    expect(says("folder_lacks", { folder: "/x", library: "libcublas.so.13" })).toMatch(
      /\/x.*libcublas\.so\.13.*cuBLAS.*cuRAND.*mbti-tuner-cuda/,
    );
    expect(says("no_driver")).toMatch(/(install|安装).*580/);
    setLanguage("en");
  });

  it("keeps a setting that is not known here as it was sent", () => {
    const text = problemText({ ...badSetting, params: { ...badSetting.params, name: "toString" } });
    expect(text).toContain("toString");
    expect(text).toContain("a whole number from 1");
  });

  it("translates a status, a part and a reason", () => {
    setLanguage("zh");
    const says = (code: Problem["code"], params: Problem["params"]) => problemText({ code, params, message: "" });
    expect(says("run_has_ended", { run: "3", status: "failed" })).toContain("失败");
    expect(says("too_few_texts", { part: "validation", texts: "0" })).toContain("验证");
    expect(says("no_usable_row", { path: "a", rows: "3", line: "2", reason: "no_type" })).toContain("缺少类型");
    setLanguage("en");
  });

  it("resumes from a checkpoint only a run that has one", () => {
    const says = (checkpoint: string) =>
      problemText({ code: "device_lost", params: { device: "cuda:0", reason: "X", checkpoint }, message: "" });
    expect(says("4")).toBe(`cuda:0 failed in the middle of the run: X. ${en.window.lost_resume}`);
    expect(says("0")).toBe(`cuda:0 failed in the middle of the run: X. ${en.window.lost_start_again}`);
  });

  it("does not say of an estimate whose device is lost that a run can be started again", () => {
    const params = { device: "cuda:0", reason: "X", during: "estimate" };
    const text = problemText({ code: "device_lost", params, message: "" });
    expect(text).toBe(`cuda:0 failed during the estimate: X. ${en.window.lost_estimate_again}`);
  });

  it("counts no text as several where memory ran short", () => {
    const params = { step: "1", batch_size: "1", gradient_accumulation_steps: "8" };
    expect(problemText({ code: "batch_halved", params, message: "" })).toContain("the batch size is 1, and a step has 8 passes");
  });

  it("names the settings that would fit, with their values, or says that none would", () => {
    const says = (settings: string) =>
      problemText({ code: "cannot_fit", params: { needed: "900.4", available: "0.5", settings }, message: "" });
    expect(says("trainable=lora,gradient_checkpointing=all")).toContain(
      `900 MiB of memory, and this computer has 512 KiB. What would make it fit: What learns: ${en.trainables.lora}; Gradient checkpointing: ${en.checkpointings.all}.`,
    );
    expect(says("")).toContain(en.window.fits_nothing);
    setLanguage("zh");
    expect(says("trainable=head,max_length=64")).toContain("学习哪些权重：仅分类头；每条文本最多词元数：64");
    setLanguage("en");
  });

  it("writes a learning rate as people do, also that of a notice from an older version", () => {
    const says = (learning_rate: string) => problemText({ code: "answers_constant", params: { learning_rate }, message: "" });
    for (const [told, written] of [["1e0", "1"], ["2e-1", "0.2"], ["1e-3", "0.001"], ["2e-4", "2e-4"], ["0.01", "0.01"]]) {
      expect(says(told!)).toContain(`(it was ${written})`);
    }
  });

  it("says whose memory ran out and what needs less", () => {
    const says = (step: string, card: string) =>
      problemText({ code: "out_of_memory", params: { step, card, settings: "trainable=lora,device=cpu" }, message: "" });
    expect(says("3", "NVIDIA A (cuda:0)")).toContain(
      `The memory of NVIDIA A (cuda:0) ran out (step 3). Each of these needs less: What learns: ${en.trainables.lora}; Device: cpu.`,
    );
    expect(says("0", "")).toContain(`of this computer ran out (${en.window.no_step})`);
    setLanguage("zh");
    expect(says("3", "NVIDIA A (cuda:0)")).toContain("NVIDIA A (cuda:0)的内存用完了（第 3 步）");
    setLanguage("en");
  });

  it("names devices in the user's language, with their threads", () => {
    const says = (from: string, to: string) => problemText({ code: "device_changed", params: { from, to }, message: "" });
    const [old, now] = ["A (R) CPU @ 2 GHz, 2 threads (cpu)", "NVIDIA A, 24 GB (cuda:0)"];
    expect(says(old, now)).toBe(`From here on the run computes on ${now}. Before, it computed on ${old}.`);
    expect(deviceCalled("processor, 1 thread")).toBe("Processor, 1 thread");
    setLanguage("zh");
    expect(says(old, now)).toContain("A (R) CPU @ 2 GHz，2 线程 (cpu)");
    expect(says(old, now)).toContain(now);
    expect(deviceCalled("processor, 16 threads")).toBe("处理器，16 线程");
    setLanguage("en");
  });

  it("tells which texts broke the loss, and whether there is a checkpoint", () => {
    const says = (checkpoint: string) =>
      problemText({ code: "loss_not_finite", params: { step: "9", rows: "3, 7", checkpoint }, message: "" });
    expect(says("5")).toMatch(/step 9.*3, 7.*step 5/);
    expect(says("0")).toContain(`: ${en.window.none}.`);
  });

  it("falls back to the internal one for a code from a newer program", () => {
    const unknown = { code: "brand_new", params: {}, message: "" } as unknown as Problem;
    expect(problemText(unknown)).toBe(en.problems.internal);
  });
});

import { fireEvent, render, screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";
import RunNotices from "../components/RunNotices.svelte";
import { problem } from "../lib/backend/fake-data";
import { dictionaries, languages, setLanguage } from "../lib/i18n";
import { GROUPS, SETTING_GROUPS } from "../lib/settingGroups";
import { at, choose, open, startAnew, type } from "./testing";

const click = async (id: string) => fireEvent.click(await at(id));
const pressed = async (id: string) => (await at(id)).getAttribute("aria-pressed");

startAnew();

describe.each(languages)("in %s", (language) => {
  const words = dictionaries[language];

  it("the advanced settings stand in named groups, each with its hint and its name in files", async () => {
    await open("data", "nav-train", language);
    await choose("train-trainable", "lora");
    for (const group of GROUPS) {
      const found = await at(`group-${group}`);
      expect(found.textContent).toContain(words.setting_groups[group]);
      for (const name of SETTING_GROUPS[group]) {
        expect(found.textContent, name).toContain(words.settings[name]);
        expect(found.textContent, name).toContain(words.setting_hints[name]);
        expect([...found.querySelectorAll("code")].map((code) => code.textContent), name).toContain(name);
      }
    }
    expect((await at("train-max_tokens_per_batch")).getAttribute("placeholder")).toContain(
      words.when_empty.max_tokens_per_batch,
    );
  });

  const processor = { en: "Example processor, 8 threads", zh: "Example processor，8 线程" }[language];
  const oldDriver = words.unusables.old_driver.replace("{found}", "535.183.01").replace("{needed}", "580");
  /** The line that names the processor, and why the card that was found is not used. */
  const passedOver = (when: "computes_on" | "computed_on" | "would_compute_on") => {
    const { used_device_instead } = words.window;
    const named = { "{name}": processor, "{gpu}": "Example graphics card", "{reason}": oldDriver };
    const device = Object.entries(named).reduce((text, [name, value]) => text.replace(name, value), used_device_instead);
    return words.window[when].replace("{device}", device);
  };
  const usedDevice = async () => (await at("used-device")).textContent;

  it("a run says on which device it computes and computed, and why not on the card that was found", async () => {
    const fake = await open("training", "nav-train", language);
    expect(await usedDevice()).toBe(passedOver("computes_on"));
    fake.tick(200);
    const outcome = await screen.findByTestId("outcome");
    expect(within(outcome).getByTestId("used-device").textContent).toBe(passedOver("computed_on"));
  });

  it("an estimate says for which device it is, and why not for the card that was found", async () => {
    await open("data", "nav-train", language);
    await click("estimate-button");
    const found = await at("estimate-result");
    expect(within(found).getByTestId("used-device").textContent).toBe(passedOver("would_compute_on"));
  });

  it("a run whose graphics card was lost says so, and is resumed on the processor", async () => {
    const fake = await open("training", "nav-train", language);
    const resume = vi.spyOn(fake, "resumeRun");
    fake.endRun(1, "lost");
    const outcome = await screen.findByTestId("outcome");
    expect(within(outcome).getByTestId("run-status").dataset["status"]).toBe("interrupted");
    expect(outcome.textContent).toContain("CUDA_ERROR_LAUNCH_FAILED");
    expect(outcome.textContent).toContain(words.window.outcome_broken_off);
    expect(outcome.textContent).not.toContain(words.window.outcome_interrupted);
    expect(within(outcome).getByTestId("used-device").textContent).toContain("cuda:0");
    expect((await at("resume-cpu-button")).textContent).toContain(words.window.resume_cpu);
    resume.mockRejectedValueOnce(problem("device_unusable", { device: "cuda:0", kind: "not_listed" }));
    await click("resume-button");
    expect((await at("problem")).textContent).toContain(words.unusables.not_listed);
    await click("resume-cpu-button");
    await screen.findByTestId("stop-button");
    expect(resume.mock.calls).toEqual([
      [1, null],
      [1, "cpu"],
    ]);
    expect(screen.queryByTestId("problem")).toBeNull();
    fake.tick();
    await waitFor(async () =>
      expect(await usedDevice()).toBe(words.window.computes_on.replace("{device}", processor)),
    );
  });

  it("an engine that went away without a word is told as such, and one that never had a card offers no processor", async () => {
    const fake = await open("training", "nav-train", language);
    fake.endRun(1, "interrupted");
    const outcome = await screen.findByTestId("outcome");
    expect(outcome.textContent).toContain(words.window.outcome_interrupted);
    expect(within(outcome).queryByTestId("failure")).toBeNull();
    await at("resume-button");
    expect(screen.queryByTestId("resume-cpu-button")).toBeNull();
  });

  it("what happened is told at the step that it names, or before the first one", () => {
    setLanguage(language);
    const halved = problem("batch_halved", { step: "1", batch_size: "8", gradient_accumulation_steps: "2" });
    render(RunNotices, {
      notices: [
        { step: 0, problem: halved },
        { step: 0, problem: problem("no_tf32") },
        { step: 7, problem: problem("no_tf32") },
      ],
    });
    const places = [...screen.getByTestId("run-notices").querySelectorAll(".step")].map((place) => place.textContent);
    const { notice_step, notice_start } = words.window;
    expect(places).toEqual([notice_step.replace("{step}", "1"), notice_start, notice_step.replace("{step}", "7")]);
  });

  it("a device that is there and cannot be used is listed with the reason, and cannot be chosen", async () => {
    await open("data", "nav-train", language);
    const field = (await at("train-device")) as HTMLSelectElement;
    await waitFor(() => expect(field.options).toHaveLength(3));
    expect([...field.options].map((option) => [option.value, option.disabled])).toEqual([
      ["auto", false],
      ["cpu", false],
      ["cuda:0", true],
    ]);
    expect((await at("device-why")).textContent).toContain(oldDriver);
    // By the number that the reason names.
    expect(field.options[2]?.textContent).toContain("cuda:0 · Example graphics card");
  });

  it("a preset fills in the form and is marked until something is changed", async () => {
    const fake = await open("data", "nav-train", language);
    const start = vi.spyOn(fake, "startTraining");
    expect((await at("preset-tutorial")).textContent).toContain(words.presets.tutorial);
    expect((await at("preset-tutorial")).textContent).toContain(words.preset_hints.tutorial);
    await click("preset-tutorial");
    expect(await pressed("preset-tutorial")).toBe("true");
    expect(((await at("train-data")) as HTMLSelectElement).value).toBe("made-up");
    expect(((await at("train-optim")) as HTMLSelectElement).value).toBe("adamw_8bit");
    await type("train-warmup_ratio", "0.1");
    expect(await pressed("preset-tutorial")).toBe("false");
    await click("start-button");
    await at("pause-button");
    expect(start).toHaveBeenCalledWith(
      expect.objectContaining({ axes: ["J-P"], split_by: "text", seed: 42, model: "words", warmup_ratio: 0.1 }),
    );
  });

  it("an estimate tells memory and time, and when it is out of date", async () => {
    await open("data", "nav-train", language);
    await click("estimate-button");
    const found = await at("estimate-result");
    for (const name of ["weights", "gradients", "optimizer", "activations", "rest", "training"] as const) {
      expect(found.textContent).toContain(words.window[`estimate_${name}`]);
    }
    expect(found.textContent).toContain("7.3 GiB");
    expect(found.querySelectorAll("rect[width]").length).toBeGreaterThan(5);
    expect(screen.queryByTestId("estimate-stale")).toBeNull();
    await type("train-max_length", "64");
    expect((await at("estimate-stale")).textContent).toBe(words.window.estimate_stale);
    await click("estimate-button");
    await waitFor(() => expect(screen.queryByTestId("estimate-stale")).toBeNull());
  });

  it("an estimate tells how many tokens are computed at once, where that is not a batch of the settings", async () => {
    await open("data", "nav-train", language);
    await click("estimate-button");
    expect((await at("estimate-result")).textContent).not.toContain(words.window.estimate_tokens_per_pass);
    await choose("train-tokens_per_pass", "given");
    await type("train-tokens_per_pass-given", "4096");
    await click("estimate-button");
    await waitFor(async () => {
      const found = (await at("estimate-result")).textContent;
      expect(found).toContain(words.window.estimate_tokens_per_pass);
      expect(found).toContain("4,096");
    });
  });

  it("a run that does not fit is told with the settings that would, which one click takes", async () => {
    const fake = await open("data", "nav-train", language);
    const estimateRun = fake.estimateRun;
    const settings = "trainable=lora,gradient_checkpointing=all";
    vi.spyOn(fake, "estimateRun").mockImplementation(async (config) => {
      if (config.trainable === "lora" && config.gradient_checkpointing === "all") return estimateRun(config);
      throw problem("cannot_fit", { needed: "20480", available: "7430", settings });
    });
    await click("estimate-button");
    const told = await at("fit-problem");
    expect(told.textContent).toContain("20.0 GiB");
    expect(told.textContent).toContain(words.trainables.lora);
    expect(screen.queryByTestId("problem")).toBeNull();
    await click("fit-apply");
    await at("estimate-result");
    expect(((await at("train-trainable")) as HTMLSelectElement).value).toBe("lora");
    expect(((await at("train-gradient_checkpointing")) as HTMLSelectElement).value).toBe("all");
  });

  it("a run that never fits is told without a button", async () => {
    const fake = await open("data", "nav-train", language);
    const unfit = problem("cannot_fit", { needed: "20480", available: "7430", settings: "" });
    vi.spyOn(fake, "estimateRun").mockRejectedValue(unfit);
    await click("estimate-button");
    expect((await at("fit-problem")).textContent).toContain(words.window.fit_nothing);
    expect(screen.queryByTestId("fit-apply")).toBeNull();
  });

  it("a run that does not fit on a graphics card names it, and one click takes the processor", async () => {
    const fake = await open("data", "nav-train", language);
    const estimateRun = fake.estimateRun;
    const card = { card: "A card (cuda:0)", needed: "20480", available: "7430", settings: "" };
    const params = [{ ...card, processor: "" }, { ...card, processor: "device=cpu" }];
    vi.spyOn(fake, "estimateRun").mockImplementation(async (config) => {
      if (config.device === "cpu") return estimateRun(config);
      throw problem("cannot_fit", params.shift());
    });
    await click("estimate-button");
    const told = () => screen.getByTestId("fit-problem").textContent;
    await waitFor(() => expect(told()).toContain("A card (cuda:0)"));
    expect(told()).toContain(words.window.fit_nothing_card);
    expect(screen.queryByTestId("fit-processor")).toBeNull();
    await click("estimate-button");
    await click("fit-processor");
    await at("estimate-result");
    expect(((await at("train-device")) as HTMLSelectElement).value).toBe("cpu");
  });

  it("a run is paused and goes on", async () => {
    const fake = await open("training", "nav-train", language);
    await click("pause-button");
    await waitFor(async () => expect((await at("pause-button")).textContent).toContain(words.window.pausing));
    expect(((await at("pause-button")) as HTMLButtonElement).disabled).toBe(true);
    fake.tick();
    const unpause = await screen.findByTestId("unpause-button");
    expect(unpause.textContent).toContain(words.window.unpause);
    expect((await at("run-status")).textContent).toContain(words.window.paused);
    expect(document.body.textContent).toContain(words.window.paused_hint);
    const points = (await at("loss-chart")).dataset["points"];
    fake.tick(5);
    await click("unpause-button");
    await waitFor(async () => expect((await at("unpause-button")).textContent).toContain(words.window.unpausing));
    fake.tick(2);
    await screen.findByTestId("pause-button");
    await waitFor(async () => expect((await at("loss-chart")).dataset["points"]).not.toBe(points));
  });

  it("a run is stopped at once only after asking, and goes on from its checkpoint", async () => {
    const fake = await open("training", "nav-train", language);
    const stop = vi.spyOn(fake, "stopRun");
    await click("stop-now-button");
    expect(screen.getByRole("alertdialog").textContent).toContain(words.window.stop_now_question);
    expect(stop).not.toHaveBeenCalled();
    await click("confirm-button");
    expect(stop).toHaveBeenCalledWith(1, true);
    fake.tick();
    const outcome = await screen.findByTestId("outcome");
    expect(outcome.textContent).toContain(words.window.resume_hint);
    expect(outcome.textContent).toContain(words.window.outcome_stopped_now);
    expect(within(outcome).queryByTestId("try-button")).toBeNull();
    await click("resume-button");
    await screen.findByTestId("stop-button");
    fake.tick(200);
    await waitFor(async () => expect(within(await at("outcome")).getByTestId("run-status").dataset["status"]).toBe("finished"));
  });

  it("what happened on the way is told in words", async () => {
    await open("paused", "nav-train", language);
    const notices = await at("run-notices");
    expect([...notices.children].map((notice) => (notice as HTMLElement).dataset["code"])).toEqual([
      "batch_halved",
      "checkpoint_passed_over",
    ]);
    expect(notices.textContent).not.toMatch(/[{}—]/);
    expect(document.body.textContent).toContain("MiB");
  });
});

describe("an ended run in Runs", () => {
  it("goes on from its last checkpoint, and is followed", async () => {
    const fake = await open("interrupted", "nav-runs");
    await click("runs-row");
    await click("resume-button");
    await screen.findByTestId("pause-button");
    fake.tick(3);
    await waitFor(async () => expect(Number((await at("loss-chart")).dataset["points"])).toBeGreaterThan(38));
    await click("nav-train");
    await screen.findByTestId("pause-button");
  });

  it("that lost its graphics card says so, and is resumed on the processor", async () => {
    const fake = await open("lost", "nav-runs");
    const resume = vi.spyOn(fake, "resumeRun");
    await click("runs-row");
    expect((await at("failure")).textContent).toContain("CUDA_ERROR_LAUNCH_FAILED");
    await click("resume-cpu-button");
    await screen.findByTestId("pause-button");
    expect(resume).toHaveBeenCalledWith(1, "cpu");
  });

  it("leaves its problem on no other page", async () => {
    const fake = await open("history", "nav-runs");
    vi.spyOn(fake, "resumeRun").mockRejectedValue(problem("checkpoint_mismatch", { path: "/c", reason: "other texts" }));
    const fail = async () => {
      await waitFor(() => expect(document.querySelector("[data-run='4']")).not.toBeNull());
      await click("resume-button");
      await at("problem");
    };
    const openIt = async () => fireEvent.click((await screen.findAllByTestId("runs-row"))[2]!);
    await openIt();
    await fail();
    await click("all-runs");
    expect(screen.queryByTestId("problem")).toBeNull();
    await openIt();
    await fail();
    await click("nav-train");
    expect(screen.queryByTestId("problem")).toBeNull();
  });

  it("says why it cannot go on", async () => {
    const fake = await open("interrupted", "nav-runs");
    vi.spyOn(fake, "resumeRun").mockRejectedValue(problem("checkpoint_mismatch", { path: "/c", reason: "other texts" }));
    await click("runs-row");
    await click("resume-button");
    expect((await at("problem")).textContent).toContain("other texts");
    await waitFor(async () => expect(((await at("resume-button")) as HTMLButtonElement).disabled).toBe(false));
  });
});

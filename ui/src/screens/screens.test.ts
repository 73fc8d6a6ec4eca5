import { fireEvent, render, screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";
import App from "../App.svelte";
import { createFake } from "../lib/backend/fake";
import { dictionaries, languages, problemText, setLanguage } from "../lib/i18n";
import { dismissProblem, reportProblem, watchForProblems } from "../lib/problem.svelte";
import { at, choose, open, pick, startAnew, type, unwatched, values } from "./testing";

startAnew();

describe.each(languages)("in %s", (language) => {
  const words = dictionaries[language];

  it.each([
    ["nav-data", "data_title"],
    ["nav-train", "train_title"],
    ["nav-runs", "runs_title"],
    ["nav-predict", "predict_title"],
    ["nav-hub", "hub_title"],
  ] as const)("%s opens its screen and is marked", async (nav, title) => {
    await open("history", nav, language);
    expect((await at(nav)).getAttribute("aria-current")).toBe("page");
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe(words.window[title]);
    expect(document.title).toContain(words.window[title]);
  });

  it("Data imports a file and reports what became of each row", async () => {
    const fake = await open("empty", "nav-data", language);
    await pick(fake, "choose-file", "/tmp/kaggle.csv");
    await type("import-name", "mine");
    await fireEvent.click(await at("import-button"));
    const report = await at("import-report");
    expect(report.textContent).toContain("mine");
    expect(report.textContent).toContain(words.skip_reasons.unknown_type);
    expect((await at("data-set-row")).dataset["name"]).toBe("mine");
    expect((await at("data-set-detail")).textContent).toContain("INFP");
  });

  it("Data takes the sample, says that it is made up, and removes it after asking", async () => {
    await open("empty", "nav-data", language);
    await fireEvent.click(await at("sample-button"));
    expect((await at("data-set-row")).textContent).toContain(words.window.made_up);
    const detail = await at("data-set-detail");
    expect(detail.textContent).toContain(words.window.made_up_data);
    await fireEvent.click(within(detail).getByTestId("remove-button"));
    await fireEvent.click(await at("confirm-button"));
    await waitFor(() => expect(screen.queryByTestId("data-set-row")).toBeNull());
    expect(document.body.textContent).toContain(words.window.data_sets_empty);
  });

  it("Train shows a run as it goes on and how it ended", async () => {
    const fake = await open("data", "nav-train", language);
    expect(document.body.textContent).not.toContain(words.window.stop_save);
    expect((await at("train-data") as HTMLSelectElement).value).toBe("made-up");
    expect(document.body.textContent).toContain(words.window.model_only_words);
    await fireEvent.click(await at("start-button"));
    expect((await at("run-status")).dataset["status"]).toBe("queued");
    fake.tick(31);
    await waitFor(async () => expect((await at("loss-chart")).dataset["points"]).toBe("30"));
    expect((await at("run-status")).dataset["status"]).toBe("running");
    expect(Number((await at("metric-chart")).dataset["points"])).toBeGreaterThan(0);
    expect((await at("step-progress")).getAttribute("value")).toBe("30");
    fake.tick(200);
    const outcome = await screen.findByTestId("outcome");
    expect(outcome.textContent).toContain(words.window.outcome_finished);
    expect(outcome.textContent).toContain(words.window.made_up_run);
    await fireEvent.click(await at("try-button"));
    expect((await at("predict-run") as HTMLSelectElement).value).toBe("1");
  });

  it("a run that went nowhere is marked among the runs and among those to predict with", async () => {
    setLanguage(language);
    const fake = createFake({ startingPoint: "finished" });
    const runs = await fake.listRuns();
    const params = { steps: "135", loss: "1.500", constant: "0.693", learning_rate: "1" };
    runs[0]!.collapse = [{ code: "loss_diverged", params, message: "" }];
    vi.spyOn(fake, "listRuns").mockResolvedValue(runs);
    render(App, { backend: fake });
    await fireEvent.click(await at("nav-runs"));
    const text = problemText(runs[0]!.collapse[0]!);
    expect((await screen.findAllByRole("img", { name: text })).map((mark) => mark.title)).toEqual([text]);
    await fireEvent.click(await at("nav-predict"));
    const [option] = (await at("predict-run") as HTMLSelectElement).options;
    expect([option!.title, option!.getAttribute("aria-label")]).toEqual([text, `${option!.textContent} ${text}`]);
    expect(option!.textContent).toMatch(/!.?$/);
    expect((await at("predict-collapse")).textContent).toBe(text);
  });

  it("Runs opens a run with scores, split and settings", async () => {
    await open("history", "nav-runs", language);
    const rows = await screen.findAllByTestId("runs-row");
    expect(rows.map((row) => row.dataset["run"])).toEqual(["6", "5", "4", "3", "2", "1"]);
    expect(rows[4]!.textContent).toContain(words.statuses.failed);
    await fireEvent.click(rows[3]!);
    const detail = await at("run-detail");
    expect(detail.textContent).toContain(words.window.split_given);
    expect(detail.textContent).toContain("kaggle");
    expect(detail.textContent).toContain(words.trainables.lora);
    expect(detail.textContent).toContain(words.settings.lora_rank);
    expect(within(detail).getByTestId("score-table").querySelectorAll("tbody tr")).toHaveLength(4);
    expect(within(detail).getByTestId("verdicts").children).toHaveLength(4);
  });

  it("Runs merges a run's adapter into a whole model, which predicts on", async () => {
    const fake = await open("history", "nav-runs", language);
    const mergeRun = fake.mergeRun;
    let goOn = () => {};
    const asked = vi.spyOn(fake, "mergeRun").mockImplementation(async (run) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      return mergeRun(run);
    });
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[3]!);
    expect((await at("run-adapter")).textContent).toBe(words.window.run_adapter.replace("{model}", "bert-tiny"));
    const button = (await at("run-merge")) as HTMLButtonElement;
    expect(button.textContent?.trim()).toBe(words.window.run_merge);
    await fireEvent.click(button);
    expect(asked).toHaveBeenCalledWith(3);
    expect(button.textContent?.trim()).toBe(words.window.run_merging);
    expect(button.disabled).toBe(true);
    expect(screen.queryByTestId("remove-button")).toBeNull();
    goOn();
    await waitFor(() => expect(screen.queryByTestId("run-adapter")).toBeNull());
    expect((await fake.showRun(3, 0)).adapter).toBe(false);
    expect((await at("score-table")).querySelectorAll("tbody tr")).toHaveLength(4);
    await at("remove-button");
    await fireEvent.click(await at("try-button"));
    await type("predict-text", "some words of mine");
    expect((await at("predict-type")).textContent).toMatch(/^[EI][NS][FT][JP]$/);
  });

  it("Predict answers as one types, and says what was not trained", async () => {
    await open("history", "nav-predict", language);
    const select = (await at("predict-run")) as HTMLSelectElement;
    expect(values(select)).toEqual(["5", "3", "1"]);
    expect(select.value).toBe("5");
    expect((await at("predict-empty")).textContent).toBe(words.window.predict_empty);
    await type("predict-text", "some words of mine");
    expect((await at("predict-type")).textContent).toMatch(/^[EI][NS][FT][JP]$/);
    await choose("predict-run", "1");
    await waitFor(async () => expect((await at("predict-type")).textContent).toMatch(/^[EI]--[JP]$/));
    expect((await at("predict-axis-N-S")).textContent).toContain(words.window.not_trained);
    await type("predict-text", " ");
    await at("predict-empty");
    expect(screen.queryByTestId("problem")).toBeNull();
    expect(document.body.textContent).toContain(words.window.predict_limits);
  });

  it("a problem is told in words, and can be dismissed", async () => {
    const fake = await open("empty", "nav-data", language);
    await pick(fake, "choose-file", "/tmp/missing.csv");
    await fireEvent.click(await at("import-button"));
    const box = await at("problem");
    expect(box.dataset["code"]).toBe("not_found");
    expect(box.getAttribute("role")).toBe("alert");
    expect(box.textContent).toContain(words.problems.not_found.replace("{path}", "/tmp/missing.csv"));
    await fireEvent.click(await at("problem-dismiss"));
    expect(screen.queryByTestId("problem")).toBeNull();
  });
});

describe("the window", () => {
  it("switches language and theme without losing what was typed", async () => {
    await open("finished", "nav-predict");
    await type("predict-text", "some words");
    await choose("language", "zh");
    expect((await at("nav-data")).textContent).toContain("数据");
    expect((await at("predict-text") as HTMLTextAreaElement).value).toBe("some words");
    await choose("theme", "dark");
    expect(document.documentElement.dataset["theme"]).toBe("dark");
    expect(localStorage.getItem("theme")).toBe("dark");
    await choose("theme", "system");
  });

  it("marks a letter that is as good as drawn by lot, and never writes more than 100 %", async () => {
    setLanguage("en");
    const fake = createFake({ startingPoint: "finished" });
    const uncalibrated = { interval: null, unsure: false, refused: null, limited: false };
    fake.predict = async (run) => ({
      type: "ENFP",
      axes: {
        "E-I": { letter: "E", probability: 0.5449, ...uncalibrated },
        "N-S": { letter: "N", probability: 0.655, ...uncalibrated },
        "F-T": { letter: "F", probability: 0.9999, ...uncalibrated },
        "J-P": { letter: "P", probability: 0.55, ...uncalibrated },
      },
      sets: null,
      model: "words",
      run,
      milliseconds: 1,
      tokens: 256,
      truncated: true,
    });
    render(App, { backend: fake });
    await fireEvent.click(await at("nav-predict"));
    await type("predict-text", "words");
    expect((await at("predict-type")).textContent?.trim()).toBe("ENFP");
    expect((await at("predict-axis-E-I")).textContent).toContain("close to a coin toss");
    expect((await at("predict-axis-J-P")).textContent).not.toContain("close to a coin toss");
    expect((await at("predict-axis-N-S")).textContent).toMatch(/66%.*34%/s);
    expect((await at("predict-axis-F-T")).textContent).toMatch(/over 99%.*under 1%/s);
    expect(document.body.textContent).toContain("Only the first 256 tokens counted.");
  });

  it("finds a run that was started elsewhere, and stops it", async () => {
    const fake = await open("training", "nav-train");
    await fireEvent.click(await at("stop-button"));
    await waitFor(async () => expect((await at("stop-button") as HTMLButtonElement).disabled).toBe(true));
    fake.tick();
    const outcome = await screen.findByTestId("outcome");
    expect(within(outcome).getByTestId("run-status").dataset["status"]).toBe("stopped");
  });

  it("says why a run failed", async () => {
    const fake = await open("training", "nav-train");
    await at("stop-button");
    fake.endRun(1, "failed");
    const failure = await screen.findByTestId("failure");
    expect(failure.textContent).toContain("step 38");
  });

  it("refuses a setting that cannot be before it is sent", async () => {
    const fake = await open("data", "nav-train");
    const start = vi.spyOn(fake, "startTraining");
    await type("train-epochs", "0");
    await fireEvent.click(await at("start-button"));
    expect((await at("problem")).dataset["code"]).toBe("bad_setting");
    expect(start).not.toHaveBeenCalled();
    await type("train-epochs", "2");
    await type("train-max-steps", "5");
    await fireEvent.click(await at("start-button"));
    await at("stop-button");
    expect(start).toHaveBeenCalledWith(expect.objectContaining({ num_train_epochs: 2, max_steps: 5, valid: null }));
    expect(screen.queryByTestId("problem")).toBeNull();
  });

  it("shows LoRA's settings only where LoRA is chosen, and sends what was chosen", async () => {
    const fake = await open("data", "nav-train");
    const start = vi.spyOn(fake, "startTraining");
    await at("train-trainable");
    const hooks = ["rank", "alpha", "dropout", "target_modules"].map((name) => `train-lora_${name}`);
    const seen = () => [...hooks, "train-use_rslora"].filter((hook) => screen.queryByTestId(hook) !== null);
    expect(seen()).toEqual([]);
    await choose("train-trainable", "head");
    expect(seen()).toEqual([]);
    await choose("train-trainable", "lora");
    expect(seen()).toEqual([...hooks, "train-use_rslora"]);
    expect((await at("train-lora_target_modules")).getAttribute("placeholder")).toBe("empty: all linear layers");
    await type("train-lora_rank", "16");
    await type("train-lora_target_modules", "query, value");
    await fireEvent.click(await at("train-use_rslora"));
    await choose("train-gradient_checkpointing", "all");
    await choose("train-dtype", "bf16");
    await fireEvent.click(await at("start-button"));
    await at("stop-button");
    expect(start).toHaveBeenCalledWith(
      expect.objectContaining({
        trainable: "lora",
        lora_rank: 16,
        lora_target_modules: ["query", "value"],
        use_rslora: true,
        gradient_checkpointing: "all",
        dtype: "bf16",
        class_weights: "balanced",
      }),
    );
  });

  it("marks class weights that cannot be, says what can, and does not start", async () => {
    const fake = await open("data", "nav-train");
    const start = vi.spyOn(fake, "startTraining");
    expect(values(await at("train-class_weights"))).toEqual(["balanced", "none", "given"]);
    expect(screen.queryByTestId("train-class_weights-given")).toBeNull();
    await choose("train-class_weights", "given");
    await type("train-class_weights-given", "0.6");
    const field = await at("train-class_weights-given");
    expect(field.getAttribute("aria-invalid")).toBe("true");
    const allowed = dictionaries.en.allowed.class_weights;
    expect(field.closest(".field")?.textContent).toContain(allowed);
    await fireEvent.click(await at("start-button"));
    expect((await at("problem")).textContent).toContain(allowed);
    expect(start).not.toHaveBeenCalled();
    await type("train-class_weights-given", "０.６，0.4");
    expect(field.getAttribute("aria-invalid")).toBe("false");
    await fireEvent.click(await at("start-button"));
    await at("stop-button");
    expect(start).toHaveBeenCalledWith(expect.objectContaining({ class_weights: "0.6,0.4" }));
  });

  it("takes a number of tokens to compute at once, or lets the program choose, and marks what cannot be", async () => {
    const fake = await open("data", "nav-train");
    const start = vi.spyOn(fake, "startTraining");
    expect(values(await at("train-tokens_per_pass"))).toEqual(["auto", "none", "given"]);
    expect((await at("train-tokens_per_pass") as HTMLSelectElement).value).toBe("auto");
    expect(screen.queryByTestId("train-tokens_per_pass-given")).toBeNull();
    await choose("train-tokens_per_pass", "given");
    await type("train-tokens_per_pass-given", "3");
    const field = await at("train-tokens_per_pass-given");
    expect(field.getAttribute("aria-invalid")).toBe("true");
    const allowed = dictionaries.en.allowed.tokens_per_pass;
    expect(field.closest(".field")?.textContent).toContain(allowed);
    await fireEvent.click(await at("start-button"));
    expect((await at("problem")).textContent).toContain(allowed);
    expect(start).not.toHaveBeenCalled();
    await type("train-tokens_per_pass-given", "4096");
    expect(field.getAttribute("aria-invalid")).toBe("false");
    await fireEvent.click(await at("start-button"));
    await at("stop-button");
    expect(start).toHaveBeenCalledWith(expect.objectContaining({ tokens_per_pass: 4096 }));
  });

  it("adds a model and chooses it", async () => {
    const fake = await open("data", "nav-train");
    await pick(fake, "choose-model", "/models/bert-tiny");
    await fireEvent.click(await at("model-add-button"));
    await waitFor(async () => expect((await at("train-model") as HTMLSelectElement).value).toBe("bert-tiny"));
    expect(values(await at("train-model"))).toEqual(["words", "bert-tiny"]);
  });

  it("offers every data set but the chosen one to validate with", async () => {
    const fake = createFake({ startingPoint: "data" });
    await fake.importDataSet(fake.chosen("/b.csv"), null, null, unwatched());
    render(App, { backend: fake });
    await fireEvent.click(await at("nav-train"));
    expect(values(await at("train-data"))).toEqual(["made-up", "b"]);
    await choose("train-data", "b");
    expect(values(await at("train-valid"))).toEqual(["", "made-up"]);
    await choose("train-valid", "made-up");
    await choose("train-data", "made-up");
    expect((await at("train-valid") as HTMLSelectElement).value).toBe("");
  });

  it("removes a run after asking", async () => {
    await open("failed", "nav-runs");
    await fireEvent.click(await at("runs-row"));
    const detail = await at("run-detail");
    await fireEvent.click(within(detail).getByTestId("remove-button"));
    await fireEvent.click(await at("confirm-button"));
    await waitFor(() => expect(document.body.textContent).toContain("Nothing was trained yet."));
  });

  it("offers to merge an adapter only, and only once its run has ended", async () => {
    const fake = await open("history", "nav-runs");
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[5]!);
    await at("score-table");
    expect(screen.queryByTestId("run-merge")).toBeNull();
    const showRun = fake.showRun;
    // What it has learned up to now is there already.
    fake.showRun = async (run, afterStep) => ({ ...(await showRun(run, afterStep)), adapter: true });
    await fireEvent.click(await at("all-runs"));
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[0]!);
    await at("stop-button");
    expect(screen.queryByTestId("run-merge")).toBeNull();
    fake.endRun(6, "interrupted");
    await screen.findByTestId("run-merge");
  });

  it("says why a run was not merged, and lets one try again", async () => {
    const fake = await open("history", "nav-runs");
    const message = "The engine ended without an answer: The base model is no more there.";
    vi.spyOn(fake, "mergeRun").mockRejectedValueOnce({ code: "engine_gone", params: {}, message });
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[3]!);
    await fireEvent.click(await at("run-merge"));
    const box = await at("problem");
    expect(box.dataset["code"]).toBe("engine_gone");
    expect(box.querySelector("details")?.open).toBe(true);
    expect(box.textContent).toContain(message);
    const button = (await at("run-merge")) as HTMLButtonElement;
    expect(button.disabled).toBe(false);
    await fireEvent.click(button);
    await waitFor(() => expect(screen.queryByTestId("run-merge")).toBeNull());
    expect(screen.queryByTestId("problem")).toBeNull();
  });

  it("knows of a merge that goes on, or has come through, while another screen was open", async () => {
    const fake = await open("history", "nav-runs");
    const mergeRun = fake.mergeRun;
    let goOn = () => {};
    fake.mergeRun = async (run) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      return mergeRun(run);
    };
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[3]!);
    await fireEvent.click(await at("run-merge"));
    await fireEvent.click(await at("nav-data"));
    await fireEvent.click(await at("nav-runs"));
    expect(((await at("run-merge")) as HTMLButtonElement).disabled).toBe(true);
    goOn();
    await waitFor(() => expect(screen.queryByTestId("run-merge")).toBeNull());
    expect((await at("run-detail")).dataset["run"]).toBe("3");
  });

  it("shows a dash with a reason where a metric has no value", async () => {
    setLanguage("en");
    const fake = createFake({ startingPoint: "finished" });
    const showRun = fake.showRun;
    fake.showRun = async (run, afterStep) => {
      const progress = await showRun(run, afterStep);
      progress.run.axes["E-I"]!.mcc = null;
      return progress;
    };
    render(App, { backend: fake });
    await fireEvent.click(await at("nav-runs"));
    await fireEvent.click(await at("runs-row"));
    const cell = (await at("score-table")).querySelector('tr[data-axis="E-I"] td[title="no value"]');
    expect(cell?.textContent).toContain("—");
  });

  it("lets no exception vanish", async () => {
    const close = watchForProblems();
    await open("empty", "nav-data");
    window.dispatchEvent(new ErrorEvent("error", { error: new Error("unheard of"), message: "unheard of" }));
    const box = await at("problem");
    expect(box.dataset["code"]).toBe("internal");
    expect(box.textContent).toContain("unheard of");
    close();
  });

  it("takes back a poll's problem once a poll comes through, and no other", async () => {
    await open("empty", "nav-data");
    reportProblem("no answer", "poll");
    await at("problem");
    dismissProblem("poll");
    await waitFor(() => expect(screen.queryByTestId("problem")).toBeNull());
    reportProblem("of the user's own doing");
    dismissProblem("poll");
    await at("problem");
  });
});

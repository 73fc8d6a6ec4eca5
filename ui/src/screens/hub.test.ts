import { fireEvent, screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";
import { createFake } from "../lib/backend/fake";
import { problem } from "../lib/backend/fake-data";
import type { WorkProgress } from "../lib/backend/types/WorkProgress";
import { fill } from "../lib/i18n/fill";
import { dictionaries, languages, problemText } from "../lib/i18n";
import { at, open, startAnew, type, unwatched, values } from "./testing";

const click = async (id: string) => fireEvent.click(await at(id));
const text = async (id: string) => (await at(id)).textContent?.trim() ?? "";
const asked = ["hubAccount", "hubLogin", "searchHub", "planModel", "planDataSet", "fetchModel", "fetchDataSet"] as const;

startAnew();

describe.each(languages)("in %s", (language) => {
  const words = dictionaries[language];
  const says = (message: string, params: Record<string, string | number> = {}) => fill(language, message, params);

  /** The sentence of the problem that is shown, which has to be one in this language. */
  async function shownProblem(code: string): Promise<string> {
    await waitFor(async () => expect((await at("problem")).dataset["code"]).toBe(code));
    const sentence = await text("problem");
    if (language === "zh") expect(sentence).toMatch(/[\u4e00-\u9fff]/);
    else expect(sentence).not.toMatch(/[\u4e00-\u9fff]/);
    return sentence;
  }

  it("opening the screen asks the Hub nothing", async () => {
    const fake = await open("empty", "nav-predict", language);
    const spies = asked.map((name) => vi.spyOn(fake, name));
    await click("nav-hub");
    expect(await text("hub-account")).toContain(words.window.account_none);
    expect(await screen.findAllByTestId("catalogue-row")).toHaveLength(8);
    for (const spy of spies) expect(spy).not.toHaveBeenCalled();
  });

  it("logging in takes the token from the clipboard and nothing from the page", async () => {
    const fake = await open("empty", "nav-hub", language);
    const login = vi.spyOn(fake, "hubLogin");
    expect(await text("hub-account")).toContain(words.window.login_steps);
    await click("login-button");
    const account = await text("account");
    expect(account).toContain(says(words.window.account_name, { name: "mira" }));
    expect(account).toContain(words.window.role_write);
    expect(account).toContain("quiet-lab");
    expect(await text("account-told")).toBe(words.window.kept_in_keyring);
    expect(await text("token-place")).toContain(words.window.place_keyring);
    expect(login.mock.calls).toEqual([[]]);
    expect(document.querySelector("input[type=password], input[name*=token], input[data-testid*=token]")).toBeNull();
    expect([...document.querySelectorAll("label")].map((label) => label.textContent).join()).not.toMatch(/token(?!\w)|令牌/);
    expect(document.body.innerHTML).not.toMatch(/hf_(?!…)/);
  });

  it("a token is told to be in a file where no keyring takes it, and may be one that cannot push", async () => {
    const fake = await open("empty", "nav-hub", language);
    Object.assign(fake.hub, { keyring: false, clipboard: "read" });
    await click("login-button");
    await waitFor(async () => expect(await text("account-told")).toContain("/home/you/.mbti-tuner/token"));
    expect(await text("account")).toContain(words.window.pushes_nowhere);
    expect(await text("account")).toContain(words.window.role_read);
  });

  it("what is on the clipboard may be no token, or one that the Hub does not know", async () => {
    const fake = await open("empty", "nav-hub", language);
    fake.hub.clipboard = "no token";
    await click("login-button");
    expect(await shownProblem("bad_token")).toContain(words.problems.bad_token);
    fake.hub.clipboard = "wrong";
    await click("login-button");
    expect(await shownProblem("unknown_token")).toContain(words.problems.unknown_token);
    expect(screen.queryByTestId("account")).toBeNull();
  });

  it("whose a token is that was found is asked only when it is wished, and it may be a wrong one", async () => {
    const fake = await open("empty", "nav-predict", language);
    fake.hub.tokens = [{ kind: "keyring" }];
    await click("nav-hub");
    expect(await text("token-place")).toContain(words.window.place_keyring);
    await click("check-button");
    expect(await shownProblem("wrong_token")).toContain(words.token_places.keyring);
    fake.hub.account = { name: "mira", token_name: null, role: null, writes_to: ["mira"] };
    await click("check-button");
    expect(await text("account")).toContain(words.window.role_unknown);
  });

  it("logging out forgets the token, and tells of one that is still found", async () => {
    const fake = await open("empty", "nav-predict", language);
    fake.hub.tokens = [{ kind: "keyring" }];
    await click("nav-hub");
    await click("logout-button");
    await waitFor(async () => expect(await text("account-told")).toBe(words.window.logged_out));
    expect(await text("hub-account")).toContain(words.window.account_none);
    fake.hub.tokens = [{ kind: "environment", name: "HF_TOKEN" }];
    await click("login-button");
    await waitFor(async () => expect(await text("account-told")).toContain("HF_TOKEN"));
    expect(screen.queryByTestId("account")).toBeNull();
    await click("logout-button");
    const left = says(words.window.still_found, { place: says(words.window.place_environment, { name: "HF_TOKEN" }) });
    await waitFor(async () => expect(await text("account-told")).toBe(left));
  });

  it("the network's settings are kept, an empty one as none, and a bad one is told of", async () => {
    const fake = await open("empty", "nav-hub", language);
    const set = vi.spyOn(fake, "setHubSettings");
    await type("hub-endpoint", " https://hf-mirror.example ");
    await click("hub-choose-env_file");
    await type("hub-proxy", "nowhere");
    await click("hub-save");
    expect(await shownProblem("bad_hub_setting")).toContain(words.hub_settings.proxy);
    expect(await text("hub-saved")).toBe("");
    await type("hub-proxy", "");
    await click("hub-save");
    await waitFor(async () => expect(await text("hub-saved")).toBe(words.window.saved));
    expect(set).toHaveBeenLastCalledWith({
      endpoint: "https://hf-mirror.example",
      proxy: null,
      env_file: { kind: "chosen", handle: 1 },
      ca_file: { kind: "keep" },
    });
    expect(screen.queryByTestId("problem")).toBeNull();
    expect(await text("hub-env_file")).toBe("/home/you/.env");
    await click("hub-clear-env_file");
    expect(await text("hub-env_file")).toBe(words.window.none);
    await click("hub-save");
    await waitFor(() => expect(fake.hub.settings.env_file).toBeNull());
  });

  it("a change that is not agreed to in the dialog is none, and a masked password stays as it was shown", async () => {
    const fake = await open("empty", "nav-predict", language);
    const proxy = "http://me:•••@proxy:8080";
    fake.hub.settings = { ...fake.hub.settings, proxy };
    fake.hub.agrees = false;
    const set = vi.spyOn(fake, "setHubSettings");
    await click("nav-hub");
    expect((await at("hub-proxy") as HTMLInputElement).value).toBe(proxy);
    await type("hub-endpoint", "https://evil.example");
    await click("hub-save");
    expect(await shownProblem("not_agreed")).toContain(words.problems.not_agreed);
    expect(set).toHaveBeenLastCalledWith(expect.objectContaining({ endpoint: "https://evil.example", proxy }));
    expect(fake.hub.settings.endpoint).toBeNull();
    expect(await text("hub-saved")).toBe("");
  });

  it("a token that is kept for another address is told of", async () => {
    const fake = await open("empty", "nav-predict", language);
    fake.hub.keptFor = "https://hub.example";
    await click("nav-hub");
    const told = says(words.window.kept_for, { kept_for: "https://hub.example", endpoint: "https://huggingface.co" });
    expect(await text("kept-for")).toBe(told);
    expect(await text("hub-account")).toContain(words.window.account_none);
  });

  it("settings that cannot be used are mended where they are set", async () => {
    const fake = await open("empty", "nav-predict", language);
    const settings = { endpoint: null, env_file: null, proxy: "socks5://127.0.0.1:1", ca_file: "/x" };
    const wrong = problem("bad_hub_setting", { name: "ca_file", value: "/x" });
    vi.spyOn(fake, "hubState").mockResolvedValueOnce({ settings, kept_for: null, access: null, problem: wrong });
    await click("nav-hub");
    expect(await shownProblem("bad_hub_setting")).toContain(words.hub_settings.ca_file);
    // What is right among them stays.
    expect((await at("hub-proxy") as HTMLInputElement).value).toBe(settings.proxy);
    await click("hub-save");
    await at("hub-account");
  });

  it("that nothing may be fetched is said", async () => {
    const fake = await open("empty", "nav-predict", language);
    fake.hub.offline = true;
    await click("nav-hub");
    expect(await text("offline")).toBe(words.window.offline_note);
  });

  it("the catalogue tells what a model is good for, what it takes, and who has to be asked", async () => {
    await open("empty", "nav-hub", language);
    const rows = await screen.findAllByTestId("catalogue-row");
    const llama = rows.find((row) => row.dataset["repo"] === "meta-llama/Llama-3.2-1B")!;
    expect(llama.textContent).toContain(words.model_uses.small_decoder);
    expect(llama.textContent).toContain(words.window.gated);
    expect(llama.textContent).toContain("llama3.2");
    expect(llama.textContent).toMatch(/18\.4 GiB.*2\.3 GiB/);
    const button = within(llama).getByTestId("catalogue-plan");
    expect(button.getAttribute("aria-label")).toContain("meta-llama/Llama-3.2-1B");
    await fireEvent.click(button);
    expect(await text("model-plan")).toContain(words.window.plan_gated);
    await click("model-fetch");
    expect(await shownProblem("gated_repo")).toContain("huggingface.co/meta-llama");
  });

  it("a model is fetched only after its plan was seen, and can then be chosen in Train", async () => {
    const fake = await open("data", "nav-hub", language);
    const fetching = vi.spyOn(fake, "fetchModel");
    expect(screen.queryByTestId("model-fetch")).toBeNull();
    await fireEvent.click((await screen.findAllByTestId("catalogue-plan"))[0]!);
    const plan = await at("model-plan");
    await waitFor(() => expect(document.activeElement).toBe(plan));
    expect(plan.textContent).toContain(says(words.window.plan_files, { n: 3 }));
    expect(plan.textContent).toContain(says(words.window.plan_licence, { licence: "apache-2.0" }));
    expect(plan.textContent).toContain("model.safetensors");
    expect(fetching).not.toHaveBeenCalled();
    await click("model-fetch");
    const name = "all-MiniLM-L6-v2";
    await waitFor(async () => expect(await text("model-fetched")).toContain(says(words.window.fetched_model, { name })));
    const { commit } = await fake.planModel("sentence-transformers/all-MiniLM-L6-v2");
    expect(fetching.mock.calls[0]!.slice(0, 3)).toEqual(["sentence-transformers/all-MiniLM-L6-v2", commit, null]);
    await fireEvent.click(within(await at("model-fetched")).getByRole("button"));
    expect(values(await at("train-model"))).toContain(name);
  });

  it("a download tells how far it is, waits where the Hub asks for it, and is found again", async () => {
    const fake = await open("empty", "nav-hub", language);
    fake.workPause = 25;
    await type("model-repo", "mira/tiny");
    await click("model-plan-button");
    await type("model-name", "mine");
    await click("model-fetch");
    const told = new Set<string>();
    await waitFor(async () => {
      told.add(await text("work-told"));
      expect([...told].join()).toContain(says(words.window.moving_waits, { seconds: 3 }));
    });
    await click("nav-runs");
    await click("nav-hub");
    const bar = await screen.findByRole("progressbar");
    expect(bar.getAttribute("aria-label")).toBe(says(words.window.fetching, { repo: "mira/tiny" }));
    expect(bar.getAttribute("aria-valuetext")).toBe(await text("work-told"));
    expect(((await at("model-fetch")) as HTMLButtonElement).disabled).toBe(true);
    await waitFor(async () => expect(await text("model-fetched")).toContain("mine"));
  });

  it("a download that was stopped is no problem, and what came of it is kept", async () => {
    const fake = await open("empty", "nav-hub", language);
    fake.workPause = 25;
    await type("model-repo", "mira/tiny");
    await click("model-plan-button");
    await click("model-fetch");
    await waitFor(async () => expect(Number(screen.getByRole("progressbar").getAttribute("value"))).toBeGreaterThan(0));
    await click("work-stop");
    const status = within(await at("hub-models")).getByTestId("work-status");
    await waitFor(() => expect(status.textContent).toBe(words.window.moving_stopped));
    expect(screen.queryByTestId("problem")).toBeNull();
    expect(await fake.listModels()).toHaveLength(1);
    await click("model-plan-button");
    await waitFor(async () => expect(await text("model-plan")).toMatch(language === "en" ? /are here already/ : /已在本机/));
  });

  it("a search shows what was found, and what is chosen is planned", async () => {
    const fake = await open("empty", "nav-hub", language);
    const searching = vi.spyOn(fake, "searchHub");
    const planning = vi.spyOn(fake, "planModel");
    await type("model-repo", "nothing like it");
    await click("model-search");
    await waitFor(() => expect(document.body.textContent).toContain(words.window.search_none));
    await type("model-repo", "qwen");
    await click("model-search");
    const results = await screen.findAllByTestId("model-result");
    expect(results).toHaveLength(3);
    expect(results[0]!.textContent).toContain("qwen3");
    expect(results[0]!.textContent).toContain(says(words.window.downloads_count, { n: 5401223 }));
    expect(results[2]!.textContent).toContain(words.window.gated);
    expect(planning).not.toHaveBeenCalled();
    await fireEvent.click(results[1]!);
    expect(await text("model-plan")).toContain("Qwen/Qwen3-1.7B");
    expect(((await at("model-repo")) as HTMLInputElement).value).toBe("Qwen/Qwen3-1.7B");
    expect(searching).toHaveBeenLastCalledWith("model", "qwen");
  });

  it.each([
    ["mira/busy", "rate_limited", { seconds: "40" }],
    ["mira/missing", "no_repo", { repo: "mira/missing" }],
    ["mira/unreachable", "no_network", { host: "huggingface.co", reason: "Connection refused" }],
    ["mira/pickled", "nothing_usable", { repo: "mira/pickled", needed: "weights" }],
  ] as const)("%s is a problem that is said in a sentence", async (repo, code, params) => {
    await open("empty", "nav-hub", language);
    await type("model-repo", repo);
    await click("model-plan-button");
    expect(await shownProblem(code)).toContain(problemText(problem(code, params)));
    expect(screen.queryByTestId("model-plan")).toBeNull();
  });

  it("a data set is planned by its split, fetched and imported, and told of", async () => {
    const fake = await open("empty", "nav-hub", language);
    const fetching = vi.spyOn(fake, "fetchDataSet");
    await type("dataset-repo", "minhaozhang/mbti");
    await type("dataset-split", "all");
    await click("dataset-plan-button");
    expect(await shownProblem("no_split")).toContain("train");
    await type("dataset-split", "train");
    await click("dataset-plan-button");
    const plan = await text("dataset-plan");
    expect(plan).toContain(words.window.plan_no_licence);
    expect(plan).toContain(says(words.window.plan_split, { split: "train" }));
    await type("dataset-name", "posts");
    await click("dataset-fetch");
    expect(await text("import-report")).toContain(words.skip_reasons.unknown_type);
    const { commit } = await fake.planDataSet("minhaozhang/mbti", "train");
    expect(fetching.mock.calls[0]!.slice(0, 4)).toEqual(["minhaozhang/mbti", commit, "train", "posts"]);
    await click("hub-go-to-data");
    expect((await at("data-set-detail")).dataset["name"]).toBe("posts");
  });

  it("Data and Train lead to the Hub", async () => {
    await open("data", "nav-data", language);
    await click("go-to-hub");
    await at("hub-models");
    await click("nav-train");
    expect(document.body.textContent).toContain(words.window.hub_link_model);
    await click("go-to-hub");
    await at("hub-models");
    expect((await at("nav-hub")).getAttribute("aria-current")).toBe("page");
  });

  it("a run's model is pushed, merged first where it is an adapter, and the place is told", async () => {
    const fake = await open("history", "nav-hub", language);
    const pushing = vi.spyOn(fake, "pushRun");
    await click("login-button");
    await at("account");
    await click("nav-runs");
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[3]!);
    expect(await text("push-merges")).toBe(words.window.push_merges);
    expect(((await at("push-plan")) as HTMLButtonElement).disabled).toBe(true);
    await type("push-repo", "a/b/c");
    expect((await at("push-repo")).getAttribute("aria-invalid")).toBe("true");
    expect(await text("push-panel")).toContain(says(words.problems.bad_repo, { repo: "a/b/c" }));
    await type("push-repo", "somebody/mbti");
    await click("push-plan");
    await click("push-button");
    expect(await shownProblem("no_right")).toContain("somebody/mbti");
    await type("push-repo", "mbti");
    await click("push-private");
    await click("push-plan");
    fake.hub.agrees = false;
    await click("push-button");
    expect(await shownProblem("not_agreed")).toContain(words.problems.not_agreed);
    fake.hub.agrees = true;
    await click("push-button");
    await waitFor(async () => expect(await text("pushed")).toContain("huggingface.co/mira/mbti"));
    expect(pushing.mock.calls.at(-1)!.slice(0, 3)).toEqual([3, "mira/mbti", true]);
    expect((await fake.listRuns()).find((run) => run.id === 3)?.pushed?.repo).toBe("mira/mbti");
  });

  it("what a push sends and where to is listed before anything can be sent, anew for another name", async () => {
    const fake = await open("history", "nav-runs", language);
    const pushing = vi.spyOn(fake, "pushRun");
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[3]!);
    await type("push-repo", "mira/mbti");
    expect(screen.queryByTestId("push-button")).toBeNull();
    await click("push-plan");
    const list = await text("push-list");
    expect(list).toContain(says(words.window.push_plan_title, { repo: "mira/mbti" }));
    for (const file of ["config.json", "model.safetensors", "tokenizer.json", "README.md"]) expect(list).toContain(file);
    expect(list).toContain(words.window.push_file_merged);
    await type("push-repo", "mira/other");
    await waitFor(() => expect(screen.queryByTestId("push-list")).toBeNull());
    expect(screen.queryByTestId("push-button")).toBeNull();
    await type("push-repo", "other");
    await click("push-plan");
    await shownProblem("no_token");
    expect(screen.queryByTestId("push-button")).toBeNull();
    expect(pushing).not.toHaveBeenCalled();
  });

  it("a push can be stopped, and needs a token", async () => {
    const fake = await open("history", "nav-runs", language);
    await fireEvent.click((await screen.findAllByTestId("runs-row"))[3]!);
    await type("push-repo", "mira/mbti");
    await click("push-plan");
    await click("push-button");
    expect(await shownProblem("no_token")).toContain(words.problems.no_token);
    await fake.hubLogin();
    fake.workPause = 25;
    await click("push-button");
    await click("work-stop");
    await waitFor(() => expect(screen.getByTestId("work-status").textContent).toBe(words.window.pushing_stopped));
    expect(screen.queryByTestId("problem")).toBeNull();
    expect(screen.queryByTestId("pushed")).toBeNull();
  });

  it("the bag of words is not offered to be pushed, nor a run that failed", async () => {
    await open("history", "nav-runs", language);
    const rows = await screen.findAllByTestId("runs-row");
    for (const place of [0, 4]) {
      await fireEvent.click(screen.getAllByTestId("runs-row")[place]!);
      await at("score-table");
      expect(screen.queryByTestId("push-panel")).toBeNull();
      await click("all-runs");
      await waitFor(() => expect(screen.getAllByTestId("runs-row")).toHaveLength(rows.length));
    }
  });

  it("a new run is told where it is to be pushed", async () => {
    const fake = await open("data", "nav-train", language);
    const start = vi.spyOn(fake, "startTraining");
    await type("train-push_to_hub", "mira/mbti/2");
    expect((await at("train-push_to_hub")).getAttribute("aria-invalid")).toBe("true");
    await click("start-button");
    expect(await shownProblem("bad_setting")).toContain(words.allowed.push_to_hub);
    expect(start).not.toHaveBeenCalled();
    await type("train-push_to_hub", " mira/mbti ");
    await click("train-hub_private_repo");
    await click("start-button");
    await at("stop-button");
    expect(start).toHaveBeenCalledWith(expect.objectContaining({ push_to_hub: "mira/mbti", hub_private_repo: true }));
  });
});

describe("the stand-in of the Hub", () => {
  it("goes on with a download where it was stopped", async () => {
    const fake = createFake();
    const stopper = new AbortController();
    const onProgress = (told: WorkProgress) => told.kind === "transfer" && told.bytes_done > 0 && stopper.abort();
    await expect(fake.fetchModel("mira/tiny", "c0ffee", null, { onProgress, signal: stopper.signal })).rejects.toMatchObject({ code: "stopped" });
    const { bytes, bytes_here } = await fake.planModel("mira/tiny");
    expect(bytes_here / bytes).toBeCloseTo(0.2);
    const told = vi.fn();
    await fake.fetchModel("mira/tiny", "c0ffee", null, { ...unwatched(), onProgress: told });
    expect(told.mock.calls[0]![0]).toMatchObject({ kind: "transfer", bytes_done: bytes_here, bytes_total: bytes });
    expect((await fake.listModels()).map((model) => model.name)).toEqual(["words", "tiny"]);
  });
});

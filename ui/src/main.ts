import "./lib/locale";
import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { openBackend } from "./lib/backend";
import { watchForProblems } from "./lib/problem.svelte";

watchForProblems();
const { backend, demo } = await openBackend();
mount(App, { target: document.getElementById("app")!, props: { backend, demo } });

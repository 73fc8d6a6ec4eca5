import type { Dictionary } from "./en";
import { fill } from "./fill";

/**
 * What a device is called. The engine ends a processor's name with its threads, and says "processor" where the system names
 * none; runs and notices keep it so. A graphics card has its maker's name alone.
 */
export function deviceNameText(locale: string, { window }: Dictionary, name: string): string {
  return name.replace(/^(.*), (\d+) threads?(?= \(|$)/, (_, model: string, n: string) =>
    fill(locale, window.device_threads, { name: model === "processor" ? window.device_processor : model, n: Number(n) }),
  );
}

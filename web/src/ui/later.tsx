import { lazyRouteComponent } from "@tanstack/react-router";
import { Component, type ReactNode, Suspense, useState, useSyncExternalStore } from "react";
import { failure } from "../api/failure";
import { clockTime } from "../format/time";
import { FailureNotice } from "./failure-notice";

// A part of the page whose chunk did not come: there is no connection, or the chunk
// is that of an operator before an update.
class NotLoaded extends Error {
  constructor(
    cause: unknown,
    readonly again: () => Promise<boolean>, // says whether it is there now
  ) {
    // Not the browser's words: by those the router knows it, and reloads the page,
    // which takes along the feed's rows and the viewer's token, and in an outage all.
    super("a chunk was not loaded", { cause });
  }
}

const parts: (() => Promise<void> | undefined)[] = [];

// later makes a component, of a view or within one, that is a chunk of its own.
// biome-ignore lint/suspicious/noExplicitAny: the router's own bound
export function later<Module extends Record<string, any>, Name extends keyof Module>(
  load: () => Promise<Module>,
  name: Name,
) {
  let there = false;
  const again = async () => {
    await part.preload?.();
    return there;
  };
  const part = lazyRouteComponent(async () => {
    try {
      const module = await load();
      there = true;
      return module;
    } catch (cause) {
      throw new NotLoaded(cause, again);
    }
  }, name);
  parts.push(() => part.preload?.());
  return part;
}

let idle = false;
const waiting = new Set<() => void>();

// loadLater loads all parts, one at a time, while nothing else is to be done: an
// outage finds them here. It is called once, when the first view is shown.
export async function loadLater() {
  await rest();
  performance.mark("later"); // what came before is the first load, see e2e/first-load.mjs
  idle = true;
  for (const tell of waiting) tell();
  // More of them may be found in one that came.
  for (const part of parts) {
    await part();
    await rest();
  }
}

// Safari has no requestIdleCallback. A page that is never idle loads them all the same.
function rest(): Promise<unknown> {
  return new Promise((done) =>
    "requestIdleCallback" in window
      ? requestIdleCallback(done, { timeout: 2000 })
      : setTimeout(done, 50),
  );
}

// useIdle says when what can wait for the first view may be shown.
export function useIdle(): boolean {
  return useSyncExternalStore(wait, () => idle);
}

function wait(tell: () => void): () => void {
  waiting.add(tell);
  return () => waiting.delete(tell);
}

interface Props {
  children: ReactNode;
  fallback?: ReactNode;
  // Around what is said where it did not come, or in its place what tries again by itself.
  frame?: (notice: ReactNode, again: () => void) => ReactNode;
}

// Later shows a part as soon as it is there; one that breaks takes nothing else along.
export class Later extends Component<Props, { fault: { error: unknown } | undefined }> {
  override state: { fault: { error: unknown } | undefined } = { fault: undefined };

  static getDerivedStateFromError(error: unknown) {
    return { fault: { error } };
  }

  reset = () => this.setState({ fault: undefined });

  again = async () => {
    const { fault } = this.state;
    if (fault && (await mended(fault.error))) this.reset();
  };

  override render() {
    const { children, fallback, frame = (notice) => notice } = this.props;
    const { fault } = this.state;
    if (!fault) return <Suspense fallback={fallback}>{children}</Suspense>;
    return frame(<Broken error={fault.error} reset={this.reset} />, this.again);
  }
}

// mended says whether it is worth showing again; of a bug nobody knows.
async function mended(error: unknown): Promise<boolean> {
  return !(error instanceof NotLoaded) || error.again();
}

// Broken stands in the place of a view, or of a part of it, that did not come or has
// a bug.
export function Broken({ error, reset }: { error: unknown; reset: () => void }) {
  const [tried, setTried] = useState(0);
  async function again() {
    if (await mended(error)) reset();
    else setTried(Date.now());
  }
  const what =
    error instanceof NotLoaded
      ? failure("unloaded", tried ? `Tried again at ${clockTime(tried)}.` : "")
      : failure("broken", String(error));
  return <FailureNotice failure={what} retry={() => void again()} reload />;
}

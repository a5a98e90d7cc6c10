import { QueryClientProvider } from "@tanstack/react-query";
import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  Outlet,
  RouterProvider,
} from "@tanstack/react-router";
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ViewBroken } from "../app/fallbacks";
import { newQueryClient } from "../app/queries";
import { Later, later, loadLater, useIdle } from "./later";

const reload = vi.fn();
beforeEach(() => {
  vi.spyOn(window.location, "reload").mockImplementation(reload);
  vi.spyOn(console, "error").mockImplementation(() => {}); // what React says of a caught error
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  cleanup();
  sessionStorage.clear();
  expect(reload).not.toHaveBeenCalled();
});

const View = () => <p>the records</p>;
const Waits = () => (useIdle() ? <p>idle</p> : null);
const Wrong = () => {
  throw new Error("a bug");
};

// A chunk that cannot be had until there is a network, as Chromium says it.
function chunk() {
  const network = { up: false };
  const load = vi.fn(async () => {
    if (!network.up) throw new TypeError("Failed to fetch dynamically imported module: /audit.js");
    return { View };
  });
  return { network, load };
}

// React wants whoever renders what suspends to wait for it.
const show = (part: ReactNode) => act(async () => render(part));

const missing = "This part of the page could not be loaded";
const tryAgain = () => fireEvent.click(screen.getByRole("button", { name: "Try again" }));

test("a view that cannot be loaded says so in its place, and is tried again", async () => {
  const { network, load } = chunk();
  const root = createRootRoute({
    component: () => (
      <>
        <Link to="/audit">Audit</Link>
        <Outlet />
      </>
    ),
  });
  const routes = [
    createRoute({ getParentRoute: () => root, path: "/", component: () => <p>the feed</p> }),
    createRoute({ getParentRoute: () => root, path: "/audit", component: later(load, "View") }),
  ];
  const router = createRouter({
    routeTree: root.addChildren(routes),
    history: createMemoryHistory({ initialEntries: ["/"] }),
    defaultErrorComponent: ViewBroken,
  });
  render(
    <QueryClientProvider client={newQueryClient()}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  );
  fireEvent.click(await screen.findByRole("link", { name: "Audit" }));
  expect(await screen.findByText(missing)).toBeTruthy();
  expect(screen.getByRole("link", { name: "Audit" })).toBeTruthy();
  expect(screen.getByRole("button", { name: "Reload the page" })).toBeTruthy();
  tryAgain();
  expect(await screen.findByText(/Tried again at/)).toBeTruthy();
  network.up = true;
  tryAgain();
  expect(await screen.findByText("the records")).toBeTruthy();
});

test("a part that cannot be loaded takes nothing along, and comes when it can be had", async () => {
  const { network, load } = chunk();
  const Part = later(load, "View");
  const frame = (notice: ReactNode) => <dialog open>{notice}</dialog>;
  const shown = await show(
    <Later frame={frame}>
      <Part />
    </Later>,
  );
  expect((await screen.findByRole("dialog")).textContent).toContain(missing);
  shown.unmount();
  network.up = true;
  void Part.preload?.();
  await show(
    <Later frame={frame}>
      <Part />
    </Later>,
  );
  expect(await screen.findByText("the records")).toBeTruthy();
});

test("a part may be tried again by itself, in the place of a notice", async () => {
  const { network, load } = chunk();
  const Part = later(load, "View");
  let tryOnce = () => {};
  const frame = (_: ReactNode, again: () => void) => {
    tryOnce = again;
    return <p>not known</p>;
  };
  await show(
    <Later frame={frame}>
      <Part />
    </Later>,
  );
  expect(await screen.findByText("not known")).toBeTruthy();
  await act(async () => tryOnce());
  expect(screen.getByText("not known")).toBeTruthy();
  network.up = true;
  await act(async () => tryOnce());
  expect(await screen.findByText("the records")).toBeTruthy();
});

test("a bug in a part is not taken for one that did not come", async () => {
  render(
    <Later>
      <Wrong />
    </Later>,
  );
  expect(screen.getByRole("alert").textContent).toContain("a bug");
  expect(screen.queryByText(missing)).toBeNull();
});

test("what is idle is used to load all parts, whichever of them do not come", async () => {
  const gone = chunk();
  const there = chunk();
  there.network.up = true;
  later(gone.load, "View");
  const Part = later(there.load, "View");
  render(<Waits />);
  expect(screen.queryByText("idle")).toBeNull();
  await loadLater();
  expect(await screen.findByText("idle")).toBeTruthy();
  expect(gone.load).toHaveBeenCalled();
  // An outage from here on is none for it.
  there.network.up = false;
  render(
    <Later>
      <Part />
    </Later>,
  );
  await waitFor(() => expect(screen.getByText("the records")).toBeTruthy());
});

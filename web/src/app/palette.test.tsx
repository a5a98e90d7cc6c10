import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { QueryClientProvider } from "@tanstack/react-query";
import {
  createMemoryHistory,
  createRootRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { singleKeys } from "../ui/keys";
import { Palette } from "./palette";
import { newQueryClient } from "./queries";
import { ThemeSelect } from "./theme-select";

afterEach(cleanup);

// A palette over a server that answers each name with what `answer` makes of it.
async function open(answer: (name: string) => string[] | Promise<string[]>) {
  const transport = createRouterTransport(({ service }) => {
    service(WorkloadService, {
      listWorkloads: async ({ nameContains }) => ({
        workloads: (await answer(nameContains)).map((name) => ({
          namespace: "shop",
          ref: { kind: "Deployment", name },
        })),
      }),
    });
  });
  const router = createRouter({
    routeTree: createRootRoute({
      component: () => (
        <>
          <ThemeSelect />
          <Palette close={vi.fn()} />
        </>
      ),
    }),
    history: createMemoryHistory({ initialEntries: ["/"] }),
  });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </TransportProvider>,
  );
  const field = await screen.findByLabelText("View, workload or theme");
  return {
    router,
    type: (value: string) => fireEvent.change(field, { target: { value } }),
    enter: () => fireEvent.keyDown(field, { key: "Enter" }),
  };
}

const said = () => screen.queryByRole("status")?.textContent ?? "";

test("what was not answered yet is not said to be missing", async () => {
  let settle = (_: string[]) => {};
  const palette = await open(
    () =>
      new Promise((resolve) => {
        settle = resolve;
      }),
  );
  palette.type("zzz");
  await waitFor(() => expect(said()).toContain("Looking for"));
  expect(said()).not.toContain("Nothing by that name");
  settle([]);
  await waitFor(() => expect(said()).toContain("Nothing by that name"));
});

test("workloads that could not be asked for are not said to be missing", async () => {
  const palette = await open(() => {
    throw new ConnectError("no", Code.Unavailable);
  });
  palette.type("zzz");
  await waitFor(() => expect(said()).toContain("cannot answer this yet"));
  expect(said()).not.toContain("Nothing by that name");
});

test("a workload that was found for another text is not gone to", async () => {
  const palette = await open((name) =>
    name === "che" ? ["checkout"] : new Promise<string[]>(() => {}),
  );
  palette.type("che");
  await screen.findByText("checkout");
  palette.type("cart");
  palette.enter();
  await waitFor(() => expect(said()).toContain("Looking for"));
  expect(screen.queryByText("checkout")).toBeNull();
  palette.enter();
  expect(palette.router.history.location.pathname).toBe("/");
});

test("what was found stays while a longer text is asked for", async () => {
  const palette = await open((name) =>
    name === "ca" ? ["cart", "cache"] : new Promise<string[]>(() => {}),
  );
  palette.type("ca");
  await screen.findByText("cache");
  palette.type("car");
  await waitFor(() => expect(screen.queryByText("cache")).toBeNull());
  expect(screen.getByText("cart")).toBeTruthy();
});

test("single keys are turned off, and on again", async () => {
  const first = await open(() => []);
  first.type("single keys");
  first.enter();
  expect(singleKeys()).toBe(false);
  cleanup();
  const again = await open(() => []);
  expect(screen.getByText("Single keys (/ j k) are off")).toBeTruthy();
  again.type("single keys");
  again.enter();
  expect(singleKeys()).toBe(true);
});

test("a theme that is chosen here shows where it is chosen otherwise", async () => {
  const palette = await open(() => []);
  const select = screen.getByLabelText<HTMLSelectElement>("Theme");
  palette.type("theme: dark");
  palette.enter();
  await waitFor(() => expect(select.value).toBe("dark"));
  fireEvent.change(select, { target: { value: "system" } });
  expect(select.value).toBe("system");
  expect(document.documentElement.dataset.theme).toBeUndefined();
});

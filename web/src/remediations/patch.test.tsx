import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { saveAs } from "../ui/save-as";
import { operations, patchLines } from "./json-patch";
import { Patch } from "./patch";

vi.mock("../ui/save-as", () => ({ saveAs: vi.fn() }));
afterEach(cleanup);

const diff =
  '[{"op":"test","path":"/spec/replicas","value":3},{"op":"replace","path":"/spec/replicas","value":5},' +
  '{"op":"add","path":"/spec/paused","value":false}]';

test("a change and the test of what it changes are one line", () => {
  expect(patchLines(operations(diff) ?? [])).toEqual([
    { op: "replace", path: "/spec/replicas", before: 3, value: 5 },
    { op: "add", path: "/spec/paused", value: false },
  ]);
});

test("a test of something else stays a line of its own", () => {
  const patch = [
    { op: "test", path: "/metadata/uid", value: "u" },
    { op: "remove", path: "/spec/a" },
  ];
  expect(patchLines(patch)).toEqual(patch);
});

test("what is no patch is shown as it is", () => {
  expect(operations("limits: 64Mi")).toBeUndefined();
  render(<Patch diff="limits: 64Mi" />);
  expect(screen.getByText("limits: 64Mi")).toBeTruthy();
});

test("the patch is handed out as a file", () => {
  render(<Patch diff={diff} saveAsName="r-1.json" />);
  fireEvent.click(screen.getByRole("button", { name: "Download the patch" }));
  const [name, type, parts] = vi.mocked(saveAs).mock.lastCall ?? [];
  expect([name, type]).toEqual(["r-1.json", "application/json-patch+json"]);
  expect(JSON.parse(parts?.join("") ?? "")).toEqual(JSON.parse(diff));
});

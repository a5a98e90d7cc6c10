import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { type ReactNode, useState } from "react";
import { afterEach, expect, test } from "vitest";
import { useKeptFocus } from "./use-kept-focus";

afterEach(cleanup);

function Page({ children }: { children: ReactNode }) {
  useKeptFocus();
  return <main tabIndex={-1}>{children}</main>;
}

// What becomes of a button that was pressed.
type End = "gone" | "disabled" | "gone with its group";

function Pressed({ end }: { end: End }) {
  const [pressed, setPressed] = useState(false);
  if (pressed && end === "gone with its group") return <p>over</p>;
  return (
    <fieldset aria-label="Group" tabIndex={-1}>
      {(!pressed || end === "disabled") && (
        <button type="button" disabled={pressed} onClick={() => setPressed(true)}>
          Press
        </button>
      )}
      {pressed && <p>over</p>}
    </fieldset>
  );
}

const press = async () => {
  fireEvent.click(screen.getByRole("button", { name: "Press" }));
  await screen.findByText("over");
};

test.each<[End, string]>([
  ["gone", "group"],
  ["disabled", "group"],
  ["gone with its group", "main"],
])("what is %s leaves the focus to its %s", async (end, role) => {
  render(
    <Page>
      <Pressed end={end} />
    </Page>,
  );
  screen.getByRole("button").focus();
  await press();
  await waitFor(() => expect(document.activeElement).toBe(screen.getByRole(role)));
});

test("what gives the focus on by itself is left alone", async () => {
  render(
    <Page>
      <Pressed end="gone" />
      <a href="/next">next</a>
    </Page>,
  );
  screen.getByRole("button").focus();
  screen.getByRole("link").focus();
  await press();
  await new Promise((done) => setTimeout(done));
  expect(document.activeElement).toBe(screen.getByRole("link"));
});

test("a click beside everything leaves the focus nowhere", async () => {
  render(
    <Page>
      <Pressed end="gone" />
    </Page>,
  );
  screen.getByRole("button").focus();
  fireEvent.pointerDown(document.body);
  screen.getByRole("button").blur();
  await press();
  await new Promise((done) => setTimeout(done));
  expect(document.activeElement).toBe(document.body);
});

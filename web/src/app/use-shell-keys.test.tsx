import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useRef } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { turnSingleKeys } from "../ui/keys";
import { useShellKeys } from "./use-shell-keys";

afterEach(() => {
  cleanup();
  turnSingleKeys(true);
});

interface Props {
  openPalette: () => void;
  text?: boolean; // has a field for text, after others
}

function View({ openPalette, text = false }: Props) {
  const main = useRef<HTMLElement>(null);
  useShellKeys(main, openPalette);
  return (
    <main ref={main} tabIndex={-1}>
      <search>
        <input type="radio" aria-label="All" />
        <details>
          <summary>Filters</summary>
          <input aria-label="Name" />
          {text && <input type="search" aria-label="Text" />}
        </details>
      </search>
      <ul>
        <li data-row="">
          <a href="/1">one</a>
        </li>
        <li data-row="">
          <button type="button">two</button>
        </li>
      </ul>
    </main>
  );
}

const press = (key: string, more = {}) =>
  fireEvent.keyDown(document.activeElement ?? document.body, { key, ...more });

test("/ goes to the first field that takes text, folded away or not", () => {
  render(<View openPalette={vi.fn()} />);
  press("/");
  expect(document.activeElement).toBe(screen.getByLabelText("Name"));
  expect(screen.getByRole("group").hasAttribute("open")).toBe(true);
});

test("/ goes to the field for text where there is one", () => {
  render(<View openPalette={vi.fn()} text />);
  press("/");
  expect(document.activeElement).toBe(screen.getByLabelText("Text"));
});

test("j and k walk the rows, and stay at the ends", () => {
  render(<View openPalette={vi.fn()} />);
  const walked = ["j", "j", "j", "k", "k"].map((key) => {
    press(key);
    return document.activeElement?.textContent;
  });
  expect(walked).toEqual(["one", "two", "two", "one", "one"]);
});

test("letters are text where text is typed, and commands on a choice", () => {
  render(<View openPalette={vi.fn()} />);
  screen.getByLabelText("Name").focus();
  press("j");
  expect(document.activeElement).toBe(screen.getByLabelText("Name"));
  screen.getByLabelText("All").focus();
  press("j");
  expect(document.activeElement?.textContent).toBe("one");
});

test.each([{ ctrlKey: true }, { metaKey: true }])("the palette opens anywhere: %o", (modifier) => {
  const openPalette = vi.fn();
  render(<View openPalette={openPalette} />);
  screen.getByLabelText("Name").focus();
  press("k", modifier);
  expect(openPalette).toHaveBeenCalledOnce();
});

test("single keys can be turned off, and stay so; others stay", () => {
  turnSingleKeys(false);
  const openPalette = vi.fn();
  render(<View openPalette={openPalette} />);
  for (const key of ["/", "j", "k"]) press(key);
  expect(document.activeElement).toBe(document.body);
  press("k", { ctrlKey: true });
  expect(openPalette).toHaveBeenCalledOnce();
  turnSingleKeys(true);
  press("j");
  expect(document.activeElement?.textContent).toBe("one");
});

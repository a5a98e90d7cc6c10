import { createMemoryHistory } from "@tanstack/react-router";
import { expect, test } from "vitest";
import { newRouter } from "./router";
import { parseSearch, stringifySearch } from "./search-params";

test("a link reads as it is typed", () => {
  const search = {
    type: "pod.*,job.failed",
    workload: "Deployment/api",
    text: "",
    page: undefined,
  };
  expect(stringifySearch(search)).toBe("?type=pod.*,job.failed&workload=Deployment/api");
  expect(stringifySearch({ text: "" })).toBe("");
});

test.each(["shop/", "a//", "50 % & more=1, ä", "#1?"])(
  "%j is where one comes by typing it",
  async (text) => {
    expect(parseSearch(stringifySearch({ text }))).toEqual({ text });
    const router = newRouter(createMemoryHistory({ initialEntries: ["/live"] }));
    for (const typed of [text.slice(0, -1), text]) {
      await router.navigate({ to: "/live", search: { text: typed } });
      expect(router.latestLocation.search).toEqual({ text: typed });
    }
  },
);

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "@rightsizer/api/event";
import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { KindDetails } from "./kind-details";

afterEach(cleanup);

type Details = Exclude<MessageInitShape<typeof EventSchema>, Event>["details"];

// Each line as "name: value".
function lines(details: Details): string[] {
  const event = create(EventSchema, { details: details ?? { case: undefined } });
  const { container } = render(
    <dl>
      <KindDetails details={event.details} />
    </dl>,
  );
  return [...container.querySelectorAll("dt")].map(
    (name) => `${name.textContent}: ${name.nextElementSibling?.textContent}`,
  );
}

test("use has the unit of its resource, and its shares are in per cent", () => {
  const value = { resource: "memory", used: 950_000_000n, bound: 2n ** 30n, share: 0.885 };
  expect(lines({ case: "usage", value: { ...value, threshold: 0.85 } })).toEqual([
    "Resource: memory",
    "Used: 906 MiB",
    "Bound: 1 GiB",
    "Share: 89 %",
    "Threshold: 85 %",
  ]);
  expect(lines({ case: "usage", value: { ...value, resource: "cpu", used: 900n } })).toContain(
    "Used: 900 mCPU",
  );
});

test("an amount that is not measured is left out", () => {
  const found = lines({ case: "usage", value: { resource: "io", share: 1.5, threshold: 0.4 } });
  expect(found).toEqual(["Resource: io", "Share: 150 %", "Threshold: 40 %"]);
});

test("how sure a size is is a share", () => {
  expect(lines({ case: "sizing", value: { confidence: 0.906 } })).toContain("Confidence: 91 %");
});

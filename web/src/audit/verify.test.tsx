import { createRouterTransport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { AuditService } from "@rightsizer/api/audit_service";
import { QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { newQueryClient } from "../app/queries";
import { Verify } from "./verify";

afterEach(cleanup);

test("when it was verified is exact on hover", async () => {
  const transport = createRouterTransport(({ service }) => {
    service(AuditService, { verifyAudit: () => ({ valid: true, records: 8n }) });
  });
  render(
    <TransportProvider transport={transport}>
      <QueryClientProvider client={newQueryClient()}>
        <Verify />
      </QueryClientProvider>
    </TransportProvider>,
  );
  fireEvent.click(screen.getByRole("button", { name: "Verify the chain" }));
  await screen.findByText(/Whole/);
  expect(document.querySelector("time")?.title).toMatch(/ · \d{4}-\d\d-\d\dT.*Z$/);
});

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import type { Connection } from "@rightsizer/api/connection";
import { EventService } from "@rightsizer/api/event_service";
import { keepPreviousData } from "@tanstack/react-query";
import { bytes, count } from "../format/quantity";
import { durationMs, span } from "../format/time";
import { Badge } from "../ui/badge";
import { type Column, DataTable } from "../ui/data-table";
import { Empty } from "../ui/empty";
import { Loaded } from "../ui/loaded";
import { Paged } from "../ui/paged";
import { Untrusted } from "../ui/untrusted";
import { useNow } from "../ui/use-now";
import { usePages } from "../ui/use-pages";
import { ViewTitle } from "../ui/view-title";
import { Ago } from "../ui/when";

const pageSize = 100;

// Who reads events right now, and whether he keeps up.
export function ConnectionsView() {
  const pages = usePages("connections");
  const now = useNow(1000);
  const query = useQuery(
    EventService.method.listConnections,
    { pageSize, pageToken: pages.token },
    { placeholderData: keepPreviousData, refetchInterval: 2000 },
  );
  return (
    <>
      <ViewTitle title="Connections" />
      <p className="max-w-prose text-soft">
        The open event streams. A reader that lags is told what he loses; nobody else waits for him.
      </p>
      <Loaded query={query} what="connections">
        {({ connections, nextPageToken }) => (
          <Paged
            pages={pages}
            shown={connections.length}
            pageSize={pageSize}
            next={nextPageToken}
            what="connection"
            stale={query.isPlaceholderData}
            nothing={
              <Empty title="Nobody reads events now">
                Streams of dashboards, of <code>rightsizer events -f</code> and of WebSocket
                subscribers show here while they are open.
              </Empty>
            }
          >
            <DataTable
              label="Connections"
              columns={columns(now)}
              rows={connections}
              rowKey={({ id }) => id}
            />
          </Paged>
        )}
      </Loaded>
    </>
  );
}

function columns(now: number): Column<Connection>[] {
  return [
    {
      name: "Reader",
      head: "Reader",
      cell: ({ identity, peer }) => (
        <span className="flex flex-col">
          <Untrusted text={identity || "not asked"} className="font-medium" />
          <Untrusted text={peer} className="font-mono text-xs text-soft" />
        </span>
      ),
    },
    { name: "Protocol", head: "Protocol", cell: ({ protocol }) => <Untrusted text={protocol} /> },
    { name: "Keeps up", head: "Keeps up", cell: (connection) => <Lag {...connection} /> },
    { name: "Sent", head: "Sent", number: true, cell: ({ sent }) => count(sent) },
    {
      name: "Events a second",
      head: "Events/s",
      number: true,
      cell: (connection) => rate(connection, now),
    },
    { name: "Bytes", head: "Bytes", number: true, cell: (connection) => bytes(connection.bytes) },
    {
      name: "Lost",
      head: "Lost",
      number: true,
      cell: ({ lost }) =>
        lost > 0n ? <span className="font-medium text-warning">{count(lost)}</span> : "0",
    },
    {
      name: "Open since",
      head: "Open since",
      cell: ({ openedTime }) => <Ago time={openedTime} now={now} />,
    },
  ];
}

function Lag({ lag, lagTime }: Pick<Connection, "lag" | "lagTime">) {
  if (lag === 0n) return <Badge tone="good">yes</Badge>;
  const age = lagTime ? `, ${span(durationMs(lagTime))}` : "";
  return (
    <Badge tone={lag > 1000n ? "warning" : "plain"}>
      {count(lag)} behind{age}
    </Badge>
  );
}

// Over the stream's whole life.
function rate({ sent, openedTime }: Connection, now: number): string {
  if (!openedTime) return "–";
  const seconds = Math.max(1, (now - timestampMs(openedTime)) / 1000);
  const perSecond = Number(sent) / seconds;
  return perSecond >= 10 ? count(Math.round(perSecond)) : perSecond.toFixed(1);
}

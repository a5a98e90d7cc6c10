import type { Remediation } from "@rightsizer/api/remediation";
import { Link } from "@tanstack/react-router";
import { visible } from "../format/visible";
import type { Column } from "../ui/data-table";
import { Untrusted } from "../ui/untrusted";
import { Ago, When } from "../ui/when";
import { actionName } from "./action";
import { changes } from "./changes";
import { Expiry } from "./expiry";
import type { Show } from "./search";
import { RiskBadge, StateBadge } from "./states";

export function inboxColumns(now: number, show: Show): Column<Remediation>[] {
  return [
    {
      name: "What",
      head: "What",
      cell: ({ namespace, name, action, workload, container }) => (
        <span className="flex flex-col">
          <Link
            to="/approvals/$namespace/$name"
            params={{ namespace, name }}
            className="bare-link font-medium"
          >
            {actionName(action)}
          </Link>
          <span className="text-xs text-soft">
            <Untrusted text={`${namespace}/${workload?.name ?? "–"}`} />
            {container && (
              <>
                {" / "}
                <Untrusted text={container} />
              </>
            )}
          </span>
        </span>
      ),
    },
    {
      name: "Sets",
      head: "Sets",
      cell: (remediation) => {
        const list = changes(remediation);
        if (list.length === 0) return <span className="text-soft">no sizes</span>;
        return (
          <span className="flex flex-col text-xs">
            {list.map(({ name, from, to }) => (
              <span key={name}>
                <span className="text-soft">{name}</span> {from && `${from} → `}
                {to}
              </span>
            ))}
          </span>
        );
      },
    },
    { name: "Risk", head: "Risk", cell: ({ risk }) => <RiskBadge risk={risk} /> },
    { name: "State", head: "State", cell: ({ state }) => <StateBadge state={state} /> },
    show === "waiting"
      ? {
          name: "Expires",
          head: "Expires",
          cell: ({ expireTime }) => <Expiry time={expireTime} now={now} />,
        }
      : {
          name: "Changed",
          head: "Changed",
          cell: ({ updateTime }) => <When time={updateTime} />,
        },
    {
      name: "Asked for by",
      head: "Asked for by",
      cell: ({ requestedBy, policy, createTime }) => (
        <>
          {requestedBy ? (
            <Untrusted text={requestedBy} />
          ) : (
            <span title={visible(policy)}>
              policy <Untrusted text={policy.split("/").at(-1) ?? ""} />
            </span>
          )}
          <span className="block text-xs text-soft">
            <Ago time={createTime} now={now} />
          </span>
        </>
      ),
    },
  ];
}

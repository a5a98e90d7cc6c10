import type { Event } from "@rightsizer/api/event";
import { CloseIcon } from "../ui/icons";
import { useMedia } from "../ui/use-media";
import { useModal } from "../ui/use-modal";
import { EventDetails } from "./event-details";

interface Props {
  event: Event;
  close: () => void;
}

// The open event: beside the list where there is room, so that j and k walk on;
// over it, as a dialog, where there is not.
export function EventPanel({ event, close }: Props) {
  const beside = useMedia("(min-width: 64rem)");
  return beside ? (
    <aside
      aria-label="Event"
      className="panel flex w-[26rem] shrink-0 flex-col overflow-y-auto p-4"
    >
      <Head close={close} />
      <EventDetails event={event} />
    </aside>
  ) : (
    <EventDialog event={event} close={close} />
  );
}

function EventDialog({ event, close }: Props) {
  const dialog = useModal();
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      aria-label="Event"
      onClose={close}
      className="m-auto max-h-[92dvh] w-[min(40rem,94vw)] overflow-y-auto rounded-lg border border-line bg-panel p-4 text-ink backdrop:bg-[rgb(0_0_0/0.5)]"
    >
      <Head close={close} />
      <EventDetails event={event} />
    </dialog>
  );
}

function Head({ close }: { close: () => void }) {
  return (
    <div className="mb-3 flex items-center justify-between gap-2">
      <h2 className="text-base font-semibold">Event</h2>
      <button type="button" className="field px-2" onClick={close}>
        <CloseIcon />
        <span className="sr-only">Close</span>
      </button>
    </div>
  );
}

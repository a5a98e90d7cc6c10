import type { ReactNode } from "react";

// Icons are decoration: what they say stands beside them as text.
function Icon({ children, className = "size-4" }: { children: ReactNode; className?: string }) {
  return (
    <svg
      aria-hidden="true"
      className={`shrink-0 ${className}`}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {children}
    </svg>
  );
}

interface Props {
  className?: string;
}

export const InfoIcon = (props: Props) => (
  <Icon {...props}>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 7.500v3.500M8 5v.1" />
  </Icon>
);
export const WarningIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M8 2 14.500 13.500h-13zM8 6.500v3M8 11.600v.1" />
  </Icon>
);
export const ErrorIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M5.500 2h5L14 5.500v5L10.500 14h-5L2 10.500v-5zM6 6l4 4M10 6l-4 4" />
  </Icon>
);
export const CriticalIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M9 1.500 3.500 9H8l-1 5.500L12.500 7H8z" fill="currentColor" />
  </Icon>
);
export const CheckIcon = (props: Props) => (
  <Icon {...props}>
    <path d="m3 8.500 3.500 3.500L13 4.500" />
  </Icon>
);
export const WaitIcon = (props: Props) => (
  <Icon {...props}>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 4.500V8l2.500 1.500" />
  </Icon>
);
export const PauseIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M5.500 3.500v9M10.500 3.500v9" />
  </Icon>
);
export const PlayIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M5 3.500v9L12.500 8z" />
  </Icon>
);
export const CloseIcon = (props: Props) => (
  <Icon {...props}>
    <path d="m4 4 8 8M12 4l-8 8" />
  </Icon>
);
export const MenuIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M2.500 4.500h11M2.500 8h11M2.500 11.500h11" />
  </Icon>
);
export const GapIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M2 8h2.500M11.500 8H14M6.500 5.500l3 5M9.500 5.500l-3 5" />
  </Icon>
);

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
export const HomeIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M2 2.500h5v5H2zM9 2.500h5v5H9zM2 9.500h5v4H2zM9 9.500h5v4H9z" />
  </Icon>
);
export const PulseIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M1.500 8.500H5l2-5 2.500 9 1.500-4h3.500" />
  </Icon>
);
export const IncidentIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M8 1.500v3M3 4l2 2M13 4l-2 2M4.500 13a3.500 3.500 0 0 1 7 0M2.500 13.500h11" />
  </Icon>
);
export const WorkloadIcon = (props: Props) => (
  <Icon {...props}>
    <path d="m8 1.500 5.500 3v7L8 14.500l-5.500-3v-7zM2.500 4.500 8 7.500l5.500-3M8 7.500v7" />
  </Icon>
);
export const ScaleIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M2 14h12M3.500 11.500v-3M8 11.500v-9M12.500 11.500V6" strokeWidth="2.200" />
  </Icon>
);
export const ApprovalIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M13.500 8v4.500a1.500 1.500 0 0 1-1.500 1.500H4a1.500 1.500 0 0 1-1.500-1.500V4A1.500 1.500 0 0 1 4 2.500h5M5.500 7.500 8 10l6-6.500" />
  </Icon>
);
export const AuditIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M4 1.500h6l2.500 2.500v10.500H4zM6 6h4M6 8.500h4M6 11h2.500" />
  </Icon>
);
export const PolicyIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M8 1.500 13 3.500v4c0 3.500-2 5.500-5 7-3-1.500-5-3.500-5-7v-4z" />
  </Icon>
);
export const NodeIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M2 2.500h12v4.500H2zM2 9h12v4.500H2zM4.500 4.750v.1M4.500 11.250v.1" />
  </Icon>
);
export const PlugIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M5.500 1.500v3M10.500 1.500v3M3.500 4.500h9V7a4.500 4.500 0 0 1-9 0zM8 11.500v3" />
  </Icon>
);
export const SearchIcon = (props: Props) => (
  <Icon {...props}>
    <circle cx="7" cy="7" r="4.500" />
    <path d="m10.500 10.500 3.500 3.500" />
  </Icon>
);
export const DownIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M8 2.500v8M4.500 7.500 8 11l3.500-3.500M2.500 13.500h11" />
  </Icon>
);
export const ArrowIcon = (props: Props) => (
  <Icon {...props}>
    <path d="M2.500 8h11M9.500 4l4 4-4 4" />
  </Icon>
);

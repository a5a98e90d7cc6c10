package object

// Runtime is what a container's command, arguments and environment say of its
// program's own memory settings; nothing else of them is kept.
type Runtime struct {
	// JVMHeapBytes is the fixed maximum of the heap (-Xmx), JVMRAMPercent that in
	// percent of the limit (-XX:MaxRAMPercentage); 0 where none is set.
	JVMHeapBytes  int64
	JVMRAMPercent float64
	// GoMemLimitBytes is GOMEMLIMIT; 0 where none is set.
	GoMemLimitBytes int64
}

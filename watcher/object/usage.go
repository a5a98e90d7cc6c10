package object

// UsageSource is a source of usage after a round of polls.
type UsageSource struct {
	Name string
	// Targets were there to be asked about, Failed of them gave no answer.
	Targets, Failed int32
	// DownSince is when it was found not to answer at all; 0 while it does.
	DownSince int64
	// Cause is one of the errors, cut at 512 bytes.
	Cause string
}

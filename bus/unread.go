package bus

// Unread returns the oldest entry that the reader has not considered and
// acknowledged, nil where there is none or the ring gave it up. Like Progress it
// is safe for concurrent use; entries published meanwhile may make it one of
// theirs.
func (s *Subscription) Unread() *Entry {
	_, lag := s.Progress()
	if lag == 0 {
		return nil
	}
	return s.bus.at(s.bus.head.Load() - uint64(lag) + 1)
}

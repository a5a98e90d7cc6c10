package config

// Change is a setting that two configurations have differently.
type Change struct {
	Key string
	// From and To are its values, as the file has them.
	From, To string
	// Live says that the change holds without a restart.
	Live bool

	kind string
}

// String is the change for people. What may name addresses, folders or people is
// not repeated: a change of the configuration is told to whoever may read events.
func (c Change) String() string {
	switch c.kind {
	case "bool", "number", "duration", "size", "name":
		return c.Key + ": " + shown(c.From) + " → " + shown(c.To)
	default:
		return c.Key
	}
}

func shown(value string) string {
	if value == "" {
		return "unset"
	}
	return value
}

// Changes are the settings that differ, in the order of the reference.
func Changes(from, to *Config) []Change {
	var out []Change
	settings := Settings()
	for i := range settings {
		s := &settings[i]
		if s.get == nil {
			continue
		}
		if a, b := s.get(from), s.get(to); a != b {
			out = append(out, Change{Key: s.Key, From: a, To: b, Live: s.Live, kind: s.Kind})
		}
	}
	return out
}

// Adopt is in, with the live settings of next.
func Adopt(in, next Config) Config {
	settings := Settings()
	for i := range settings {
		if s := &settings[i]; s.Live {
			// What Load took once it takes again; a test holds it for each setting.
			_ = s.set(&in, s.get(&next))
		}
	}
	return in
}

package config

import "github.com/spf13/pflag"

// Flags are the flags of a command line, one for each setting. They only take
// down what was given; Load judges it together with everything else.
type Flags struct{ given map[string]string }

// AddFlags adds a flag for each setting to fs.
func AddFlags(fs *pflag.FlagSet) *Flags {
	flags := &Flags{given: map[string]string{}}
	for _, s := range Settings() {
		if s.FileOnly() {
			continue
		}
		flag := fs.VarPF(&flagValue{setting: s, given: flags.given}, s.Key, "", s.Help+" ("+s.Bounds+")")
		flag.DefValue = s.Default
		if s.IsToggle() {
			flag.NoOptDefVal = "true"
		}
	}
	return flags
}

// Given returns the flags that were given, by key.
func (f *Flags) Given() map[string]string { return f.given }

// flagValue implements pflag.Value.
type flagValue struct {
	setting Setting
	given   map[string]string
}

func (v *flagValue) String() string {
	if v.given == nil {
		return ""
	}
	return v.given[v.setting.Key]
}

func (v *flagValue) Set(text string) error {
	v.given[v.setting.Key] = text
	return nil
}

func (v *flagValue) Type() string { return v.setting.Kind }

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Setting describes one setting. It is made by the constructors below.
type Setting struct {
	// Key is its name in the file and, after two dashes, as a flag.
	Key string
	// Default is its value where no place has it.
	Default string
	// Kind is the placeholder in the usage: address, file, number, size …
	Kind string
	// Bounds says what values are good, for people.
	Bounds string
	// Help is one sentence.
	Help string
	// AlsoEnv is a second environment variable, asked after the first.
	AlsoEnv string
	// Live says that a change of it in the file holds without a restart.
	Live bool

	// schema is what a file may have, as JSON Schema; a string where it is empty.
	schema string
	// set parses text into the configuration; nil for the path of the file
	// itself, which is not in the file.
	set func(*Config, string) error
	get func(*Config) string
	// list reads a value of structures; such a setting is in the file alone, and
	// has no set.
	list func(*Config, *yaml.Node, listReader)
}

// FileOnly is true where neither a flag nor a variable sets it.
func (s *Setting) FileOnly() bool { return s.list != nil }

// Env is the environment variable of the setting.
func (s *Setting) Env() string {
	return "RIGHTSIZER_" + strings.ToUpper(strings.ReplaceAll(s.Key, "-", "_"))
}

// IsToggle is true where a flag without a value means true.
func (s *Setting) IsToggle() bool { return s.Kind == "bool" }

// text is a setting of at most most bytes, any or none.
func text(key, kind string, most int, field func(*Config) *string, help string) Setting {
	bounds := fmt.Sprintf("at most %d bytes", most)
	return Setting{
		Key: key, Kind: kind, Bounds: bounds, Help: help,
		set: func(c *Config, v string) error {
			if len(v) > most || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return fmt.Errorf("wants %s without control characters", bounds)
			}
			*field(c) = v
			return nil
		},
		get: func(c *Config) string { return *field(c) },
	}
}

func toggle(key string, value bool, field func(*Config) *bool, help string) Setting {
	return Setting{
		Key: key, Kind: "bool", Default: strconv.FormatBool(value), Bounds: "true or false", Help: help,
		schema: `{"enum": [true, false, "true", "false"]}`,
		set: func(c *Config, v string) error {
			parsed, err := strconv.ParseBool(v)
			if err != nil {
				return errors.New("wants true or false")
			}
			*field(c) = parsed
			return nil
		},
		get: func(c *Config) string { return strconv.FormatBool(*field(c)) },
	}
}

func number[T int | int32 | int64](key string, value, low, high T, field func(*Config) *T, help string) Setting {
	bounds := fmt.Sprintf("%d to %d", low, high)
	return Setting{
		Key: key, Kind: "number", Default: strconv.FormatInt(int64(value), 10), Bounds: bounds, Help: help,
		schema: fmt.Sprintf(`{"type": ["integer", "string"], "pattern": "^-?[0-9]+$", "minimum": %d, "maximum": %d}`, low, high),
		set: func(c *Config, v string) error {
			parsed, err := strconv.ParseInt(v, 10, 64)
			if err != nil || parsed < int64(low) || parsed > int64(high) {
				return errors.New("wants a whole number, " + bounds)
			}
			*field(c) = T(parsed)
			return nil
		},
		get: func(c *Config) string { return strconv.FormatInt(int64(*field(c)), 10) },
	}
}

func span(key string, value, low, high time.Duration, field func(*Config) *time.Duration, help string) Setting {
	bounds := fmt.Sprintf("%s to %s", short(low), short(high))
	return Setting{
		Key: key, Kind: "duration", Default: short(value), Bounds: bounds, Help: help,
		schema: `{"type": ["string", "integer"], "pattern": "^(0|([0-9.]+(ns|us|µs|ms|s|m|h))+)$", "maximum": 0}`,
		set: func(c *Config, v string) error {
			parsed, err := time.ParseDuration(v)
			if err != nil || parsed < low || parsed > high {
				return errors.New("wants a duration such as 90s or 5m, " + bounds)
			}
			*field(c) = parsed
			return nil
		},
		get: func(c *Config) string { return short(*field(c)) },
	}
}

// short writes 10m, not 10m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// units of sizes, the largest first, as Kubernetes writes them.
var units = []struct {
	name  string
	bytes int64
}{{"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}}

func size(key string, value, low, high int64, field func(*Config) *int64, help string) Setting {
	bounds := fmt.Sprintf("%s to %s", formatSize(low), formatSize(high))
	return Setting{
		Key: key, Kind: "size", Default: formatSize(value), Bounds: bounds, Help: help,
		schema: fmt.Sprintf(`{"type": ["integer", "string"], "pattern": "^[0-9]+(Ki|Mi|Gi)?$", "minimum": %d, "maximum": %d}`, low, high),
		set: func(c *Config, v string) error {
			parsed, ok := parseSize(v)
			if !ok || parsed < low || parsed > high {
				return errors.New("wants bytes such as 8Mi or 512Ki, " + bounds)
			}
			*field(c) = parsed
			return nil
		},
		get: func(c *Config) string { return formatSize(*field(c)) },
	}
}

func parseSize(v string) (int64, bool) {
	factor := int64(1)
	for _, u := range units {
		if digits, ok := strings.CutSuffix(v, u.name); ok {
			v, factor = digits, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return 0, false
	}
	return n * factor, true
}

func formatSize(n int64) string {
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func choice(key string, value string, options []string, field func(*Config) *string, help string) Setting {
	bounds := strings.Join(options, ", ")
	return Setting{
		Key: key, Kind: "name", Default: value, Bounds: bounds, Help: help,
		schema: `{"enum": ["` + strings.Join(options, `", "`) + `"]}`,
		set: func(c *Config, v string) error {
			if !slices.Contains(options, v) {
				return errors.New("wants one of " + bounds)
			}
			*field(c) = v
			return nil
		},
		get: func(c *Config) string { return *field(c) },
	}
}

// address is host:port to listen on; the host may be empty, which is every
// interface, and the port 0, which is any that is free.
func address(key, value string, canBeOff bool, field func(*Config) *string, help string) Setting {
	bounds := "host:port, :port for every interface"
	if canBeOff {
		bounds += ", or " + Off
	}
	return Setting{
		Key: key, Kind: "address", Default: value, Bounds: bounds, Help: help,
		set: func(c *Config, v string) error {
			if v == Off && canBeOff {
				*field(c) = v
				return nil
			}
			_, port, err := net.SplitHostPort(v)
			if err == nil {
				_, err = strconv.ParseUint(port, 10, 16)
			}
			if err != nil {
				return errors.New("wants " + bounds + ", such as 127.0.0.1:9090")
			}
			*field(c) = v
			return nil
		},
		get: func(c *Config) string { return *field(c) },
	}
}

// maxNetworks bounds a list of networks.
const maxNetworks = 64

// networks is a list of IP networks, separated by commas.
func networks(key string, field func(*Config) *[]string, help string) Setting {
	bounds := fmt.Sprintf("networks such as 10.0.0.0/8, separated by commas, at most %d", maxNetworks)
	return Setting{
		Key: key, Kind: "networks", Bounds: bounds, Help: help,
		set: func(c *Config, v string) error {
			var found []string
			for part := range strings.SplitSeq(v, ",") {
				if part = strings.TrimSpace(part); part == "" {
					continue
				}
				prefix, err := netip.ParsePrefix(part)
				if err != nil || prefix.Addr().Is4In6() || len(found) == maxNetworks {
					return errors.New("wants " + bounds)
				}
				found = append(found, prefix.Masked().String())
			}
			*field(c) = found
			return nil
		},
		get: func(c *Config) string { return strings.Join(*field(c), ",") },
	}
}

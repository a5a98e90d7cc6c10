package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// PriceConfig holds what a core and a GiB cost an hour, in US dollars; 0 is not
// configured.
type PriceConfig struct {
	CoreHour, GiBHour float64
}

func priceSettings() []Setting {
	return []Setting{
		decimal("price-core-hour", 0, 1000, func(c *Config) *float64 { return &c.Price.CoreHour },
			"US dollars that a core costs an hour, for savings. With price-gib-hour 0 as well: by the nodes' instance types, from an approximate list that is built in."),
		decimal("price-gib-hour", 0, 1000, func(c *Config) *float64 { return &c.Price.GiBHour },
			"US dollars that a GiB of memory costs an hour."),
	}
}

// decimal is a number with a fraction from 0 to most.
func decimal(key string, value, most float64, field func(*Config) *float64, help string) Setting {
	show := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	bounds := "0 to " + show(most)
	return Setting{
		Key: key, Kind: "number", Default: show(value), Bounds: bounds, Help: help,
		schema: fmt.Sprintf(`{"type": ["number", "string"], "pattern": "^[0-9.]+$", "minimum": 0, "maximum": %v}`, most),
		set: func(c *Config, v string) error {
			parsed, err := strconv.ParseFloat(v, 64)
			if err != nil || math.IsNaN(parsed) || parsed < 0 || parsed > most {
				return errors.New("wants a number such as 0.03, " + bounds)
			}
			*field(c) = parsed
			return nil
		},
		get: func(c *Config) string { return show(*field(c)) },
	}
}

// Package config is every setting of the operator, in one table ([Settings]):
// name, default, unit, bounds and help. Flags, environment variables, keys of the
// file, `config print` and the reference in README.md all come from it; a setting
// is added by a field of [Config] and a line of the table.
//
// A setting has one name everywhere: flag --log-level, environment
// RIGHTSIZER_LOG_LEVEL, key log-level in the file. The first place that has it
// wins, in this order: flag, environment, file, default. An empty environment
// variable counts as not set.
//
// [Load] reports every mistake at once, each with its place and what would be
// right. Nobody but cmd/rightsizer calls it; the rest of the program gets values.
package config

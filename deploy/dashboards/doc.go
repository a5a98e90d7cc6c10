// Package dashboards is the Grafana dashboards and the alert rules. This module of
// its own holds their tests, which need Prometheus itself: its parser judges every
// expression, and its rule engine evaluates every alert.
package dashboards

package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

func (r run) cpuTable() error {
	counts := r.counts
	if r.big {
		counts = append(counts, many)
	}
	table := make(map[string]map[int]float64)
	for _, n := range counts {
		if err := r.cpuColumn(n, table); err != nil {
			return err
		}
	}
	fmt.Print("\nServer CPU ns per delivery, flat out (as a ratio to the floor)\n\n| S = |")
	for _, n := range counts {
		fmt.Printf(" %d |", n)
	}
	fmt.Print("\n|---|")
	for range counts {
		fmt.Print("---|")
	}
	fmt.Println()
	for _, v := range variants {
		row, ok := table[v.name]
		if !ok {
			continue
		}
		fmt.Printf("| %s |", v.name)
		for _, n := range counts {
			if row[n] == 0 {
				fmt.Print(" |")
				continue
			}
			fmt.Printf(" %.0f (%.1f) |", row[n], row[n]/table[floorName][n])
		}
		fmt.Println()
	}
	if len(table) == len(variants) {
		cpuVerdicts(table, counts)
	}
	return nil
}

// cpuColumn measures every server with n subscribers, round after round.
func (r run) cpuColumn(n int, table map[string]map[int]float64) error {
	seen := make(map[string][]float64)
	for round := range r.rounds {
		progress("CPU, %d subscribers, round %d", n, round+1)
		for _, v := range variants {
			if !r.wants(v, n) {
				continue
			}
			ns, err := r.cpuPerDelivery(v, n)
			if err != nil {
				return err
			}
			seen[v.name] = append(seen[v.name], ns)
		}
	}
	for name, all := range seen {
		if table[name] == nil {
			table[name] = make(map[int]float64)
		}
		slices.Sort(all)
		table[name][n] = all[len(all)/2]
	}
	return nil
}

// cpuVerdicts holds the table against the targets, each a ratio in this run.
func cpuVerdicts(table map[string]map[int]float64, counts []int) {
	fmt.Println()
	for _, n := range counts {
		if n < 100 || n == many {
			continue
		}
		for _, name := range []string{oursConnect, oursConnect2, oursGRPC, oursGRPCWeb} {
			ours := table[name][n]
			plain := table[asItComes][n]
			if name == oursGRPC || name == oursConnect2 {
				plain = table[asItComes2][n]
			}
			verdict(fmt.Sprintf("S = %d, %s: times the floor", n, name), ours/table[floorName][n], "≤", 2.5)
			verdict(fmt.Sprintf("S = %d, %s: better than connect-go as it comes, times", n, name), plain/ours, "≥", 15)
			verdict(fmt.Sprintf("S = %d, %s: better than grpc-go, times", n, name), table[grpcGo][n]/ours, "≥", 5)
			verdict(fmt.Sprintf("S = %d, %s: better than NATS over TCP, times", n, name), table[natsTCP][n]/ours, "≥", 1)
		}
		ours := table[oursSocket][n]
		verdict(fmt.Sprintf("S = %d, WebSocket: times the floor of as many bytes", n), ours/table[floorJSON][n], "≤", 1.5)
		verdict(fmt.Sprintf("S = %d, WebSocket: better than gorilla, times", n), table[gorillaWS][n]/ours, "≥", 6)
		verdict(fmt.Sprintf("S = %d, WebSocket: better than coder, times", n), table[coderWS][n]/ours, "≥", 6)
	}
}

func verdict(what string, is float64, sign string, target float64) {
	word := "met"
	if (sign == "≤" && is > target) || (sign == "≥" && is < target) {
		word = "**missed**"
	}
	fmt.Printf("- %s: %.2f, target %s %.2f: %s\n", what, is, sign, target, word)
}

// latencyTable is a steady 1,000 events/s for 100 subscribers, and with -big 2
// events/s for 9,500.
func (r run) latencyTable() error {
	if err := r.steady("1,000 events/s × 100 subscribers", 100, 1000, time.Second, verdictSteady); err != nil || !r.big {
		return err
	}
	return r.steady("2 events/s × 9,500 subscribers", many, 2, 5*time.Second, verdictBig)
}

func (r run) steady(title string, n, rate int, last time.Duration, verdicts func(map[string]lateness)) error {
	seen := make(map[string][]lateness)
	for round := range r.rounds {
		progress("%s, round %d", title, round+1)
		for _, v := range variants {
			if !r.wants(v, n) {
				continue
			}
			l, err := atRate(v, n, rate, 0, last)
			if err != nil {
				return err
			}
			seen[v.name] = append(seen[v.name], l)
		}
	}
	rows := make(map[string]lateness)
	for name, all := range seen {
		rows[name] = middle(all)
	}
	fmt.Printf("\n%s\n\n| | p50 ms | p99 ms | p99.9 ms | server cores | rate reached |\n|---|---|---|---|---|---|\n", title)
	for _, v := range variants {
		if l, ok := rows[v.name]; ok {
			fmt.Printf("| %s | %s | %s | %s | %.2f | %.0f %% |\n", v.name, ms(l.p50), ms(l.p99), ms(l.p999), l.cores, 100*l.delivered)
		}
	}
	fmt.Println()
	verdicts(rows)
	return nil
}

// middle is the median of each figure.
func middle(all []lateness) lateness {
	var m lateness
	pick := func(less func(a, b lateness) int) lateness {
		slices.SortFunc(all, less)
		return all[len(all)/2]
	}
	m.p50 = pick(func(a, b lateness) int { return cmp.Compare(a.p50, b.p50) }).p50
	m.p99 = pick(func(a, b lateness) int { return cmp.Compare(a.p99, b.p99) }).p99
	m.p999 = pick(func(a, b lateness) int { return cmp.Compare(a.p999, b.p999) }).p999
	m.cores = pick(func(a, b lateness) int { return cmp.Compare(a.cores, b.cores) }).cores
	m.delivered = pick(func(a, b lateness) int { return cmp.Compare(a.delivered, b.delivered) }).delivered
	return m
}

func verdictSteady(rows map[string]lateness) {
	for _, name := range []string{oursConnect, oursConnect2, oursGRPC, oursGRPCWeb, oursSocket} {
		if l, ok := rows[name]; ok {
			verdict(name+": p99 in ms", float64(l.p99)/1e6, "≤", 10)
			verdict(name+": cores", l.cores, "≤", 0.35)
		}
	}
}

func verdictBig(rows map[string]lateness) {
	floor, ok := rows[floorName]
	for _, name := range []string{oursConnect, oursConnect2, oursGRPC, oursGRPCWeb, oursSocket} {
		if l, has := rows[name]; ok && has {
			verdict(name+": p99 as a ratio to the floor's", float64(l.p99)/float64(floor.p99), "≤", 1.6)
		}
	}
}

// slowTable is the same stream for 50 subscribers, alone and beside 10 that read
// nothing.
func (r run) slowTable() error {
	fmt.Print("\n500 events of 2.4 kB/s × 50 subscribers, beside clients that read nothing\n\n| | p50 ms alone | p99 alone | p50 beside 10 | p99 beside 10 |\n|---|---|---|---|---|\n")
	for _, name := range []string{oursConnect, oursGRPC, oursSocket} {
		v := variantOf(name)
		if !r.wants(v, 50) {
			continue
		}
		var alone, beside []lateness
		for round := range r.rounds {
			progress("slow clients: %s, round %d", name, round+1)
			a, err := atRate(v, 50, 500, 0, 1500*time.Millisecond)
			if err != nil {
				return err
			}
			b, err := atRate(v, 50, 500, 10, 1500*time.Millisecond)
			if err != nil {
				return err
			}
			alone, beside = append(alone, a), append(beside, b)
		}
		a, b := middle(alone), middle(beside)
		fmt.Printf("| %s | %s | %s | %s | %s |\n", name, ms(a.p50), ms(a.p99), ms(b.p50), ms(b.p99))
	}
	return nil
}

func (r run) memoryTable() error {
	fmt.Print("\nIdle memory of the server, KiB of heap and stacks\n\n| | per connection |\n|---|---|\n")
	targets := map[string]float64{oursConnect2: 40, oursGRPC: 40, oursSocket: 24}
	var verdicts []func()
	row := func(v variant, label string, connections, streams int, target float64) error {
		progress("memory: %s", label)
		bytes, err := idleMemory(v, connections, streams)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.1f |\n", label, bytes/1024)
		if target > 0 {
			verdicts = append(verdicts, func() { verdict(label+": KiB", bytes/1024, "≤", target) })
		}
		return nil
	}
	for _, v := range variants {
		if r.wants(v, 500) {
			if err := row(v, v.name, 500, 0, targets[v.name]); err != nil {
				return err
			}
		}
	}
	if v := variantOf(oursGRPC); r.wants(v, 5) {
		if err := row(v, "ours: gRPC, one of 100 streams on a connection", 5, 100, 12); err != nil {
			return err
		}
	}
	fmt.Println()
	for _, v := range verdicts {
		v()
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }

package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Aggregation joins series, and the columns of a step, to one value.
type Aggregation uint8

// The aggregations. Default is Sum of amounts and Avg of shares.
const (
	Default Aggregation = iota
	Avg
	Max
	P50
	P90
	P95
	P99
	Sum
	Rate
)

// Query asks for series of one metric.
type Query struct {
	Metric string
	// Filter are labels that must have these values; GroupBy those to keep apart.
	Filter  map[string]string
	GroupBy []string
	// Start and End of the range, in whole steps; a step of 0 is chosen so that
	// there are about 250 points.
	Start, End  time.Time
	Step        time.Duration
	Aggregation Aggregation
	// May says which namespaces the caller may see; nil is all. The empty one
	// is that of nodes.
	May func(namespace string) bool
}

// Result is the answer.
type Result struct {
	Unit   string
	Step   time.Duration
	Series []Series
}

// Series is one line of points.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Point is one value; gaps have none.
type Point struct {
	Time  time.Time
	Value float64
}

// Bounds of an answer.
const (
	MaxSeries = 1000
	MaxPoints = 11_000
	// maxCells bounds series times points of one answer, to some half a MiB on the wire,
	// as a page of a list: a client may leave an answer untaken for half a minute.
	maxCells = 25_000
	// maxGathered bounds the values of one percentile, a MiB.
	maxGathered = 32_768
)

// QueryError says which part of a query is wrong, and what would be right.
type QueryError struct {
	// Name of the field, as the schema has it.
	Name string
	Text string
}

// Error implements error.
func (e *QueryError) Error() string { return e.Name + ": " + e.Text }

// Field is the name of the field.
func (e *QueryError) Field() string { return e.Name }

// Reason is what is wrong with it.
func (e *QueryError) Reason() string { return e.Text }

func wrong(field, format string, args ...any) error {
	return &QueryError{Name: field, Text: fmt.Sprintf(format, args...)}
}

// group is a series of the answer in the making.
type group struct {
	labels map[string]string
	slots  []int
}

// Query answers; its errors are *QueryError.
func (h *History) Query(q *Query) (*Result, error) {
	chosen := q.Step != 0
	m, err := q.check()
	if err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	groups, err := h.groups(q, m)
	if err != nil {
		return nil, err
	}
	if !chosen {
		q.coarsen(len(groups))
	}
	step := int64(q.Step / time.Second)
	start, end := q.Start.Unix()/step*step, q.End.Unix()
	points := (end-start)/step + 1
	if points > MaxPoints {
		return nil, wrong("step", "is %s for a range of %s, which is %d points; at most %d are given, so take %s or more",
			q.Step, q.End.Sub(q.Start), points, MaxPoints, roundUp(q.End.Sub(q.Start)/MaxPoints))
	}
	if cells := int64(len(groups)) * points; cells > maxCells {
		return nil, wrong("step", "is %s, which makes %d series of up to %d points; at most %d points are given in all: take a longer step, a shorter range or a narrower filter",
			q.Step, len(groups), points, maxCells)
	}
	columns := h.columns(start, end)
	if err := gathered(q, groups, columns, step); err != nil {
		return nil, err
	}
	out := &Result{Unit: m.Unit, Step: q.Step}
	for _, g := range groups {
		if s := h.line(q, m, g, columns, step); len(s.Points) > 0 {
			out.Series = append(out.Series, s)
		}
	}
	return out, nil
}

// coarsen makes a step longer that nobody chose, until that many series fit.
func (q *Query) coarsen(series int) {
	each := time.Duration(maxCells/max(series, 1) - 2) // the range may begin and end within a step
	q.Step = max(q.Step, (q.End.Sub(q.Start)/each).Truncate(time.Minute)+time.Minute)
}

func roundUp(d time.Duration) time.Duration { return d.Truncate(time.Second) + time.Second }

// check judges a query and fills in its defaults.
func (q *Query) check() (*Metric, error) {
	m := find(q.Metric)
	if m == nil {
		return nil, wrong("metric", "there is no %q; ListMetrics has those that there are", q.Metric)
	}
	labels := m.labels()
	for name := range q.Filter {
		if !slices.Contains(labels, name) {
			return nil, wrong("filter", "%s has no label %q, but %s", m.Name, name, strings.Join(labels, ", "))
		}
	}
	for _, name := range q.GroupBy {
		if !slices.Contains(labels, name) {
			return nil, wrong("group_by", "%s has no label %q, but %s", m.Name, name, strings.Join(labels, ", "))
		}
	}
	if !q.Start.Before(q.End) {
		return nil, wrong("start_time", "is not before end_time")
	}
	if q.Step == 0 {
		q.Step = max((q.End.Sub(q.Start) / 250).Truncate(time.Minute), time.Minute)
	}
	if q.Step < time.Minute || q.Step%time.Second != 0 {
		return nil, wrong("step", "is %s, want whole seconds, at least 60s: that is how fine the history is", q.Step)
	}
	if q.Aggregation == Default {
		q.Aggregation = Sum
		if m.share {
			q.Aggregation = Avg
		}
	}
	if m.share && (q.Aggregation == Sum || q.Aggregation == Rate) {
		return nil, wrong("aggregation", "shares cannot be summed: take avg, max or a percentile of %s", m.Name)
	}
	return m, nil
}

// groups finds the series that a query asks for.
func (h *History) groups(q *Query, m *Metric) ([]*group, error) {
	found := make(map[string]*group)
	var order []string
	for slot := range h.slots {
		k := &h.slots[slot].key
		if *k == (Key{}) || m.node != (k.Node != "") || m.node && m.part != k.Kind || q.May != nil && !q.May(k.Namespace) || !matches(k, q.Filter) {
			continue
		}
		var name strings.Builder
		for _, label := range q.GroupBy {
			name.WriteString(k.label(label) + "\x00")
		}
		g := found[name.String()]
		if g == nil {
			if len(found) == MaxSeries {
				return nil, wrong("group_by", "makes more than %d series: take a narrower filter, or fewer labels", MaxSeries)
			}
			g = &group{labels: make(map[string]string, len(q.GroupBy))}
			for _, label := range q.GroupBy {
				g.labels[label] = k.label(label)
			}
			found[name.String()] = g
			order = append(order, name.String())
		}
		g.slots = append(g.slots, slot)
	}
	slices.Sort(order)
	out := make([]*group, 0, len(order))
	for _, name := range order {
		out = append(out, found[name])
	}
	return out, nil
}

func matches(k *Key, filter map[string]string) bool {
	for name, value := range filter {
		if k.label(name) != value {
			return false
		}
	}
	return true
}

// stretch is a column of a range, and how many seconds it stands for.
type stretch struct {
	*column

	width int64
}

// columns are those of a range, each stretch of time in the finest width that is
// held of all of it, oldest first.
func (h *History) columns(start, end int64) []stretch {
	var out []stretch
	covered := int64(math.MinInt64)
	for i, held := range slices.Backward(h.tiers) {
		finer := int64(math.MaxInt64) // from where on there is a finer width
		for _, columns := range h.tiers[:i] {
			if len(columns) > 0 {
				finer = min(finer, columns[0].start)
			}
		}
		width := int64(tiers[i].width / time.Second)
		for _, c := range held {
			within := c.start >= start && c.start <= end && (i == 0 || c.start+width <= end+1)
			if within && c.start < finer && c.start >= covered {
				out = append(out, stretch{c, width})
				covered = c.start + width
			}
		}
	}
	return out
}

// cell is one value of one series in one column, of so many pods; weight is pods
// times seconds.
type cell struct{ mean, most, pods, weight float64 }

// joint joins the cells of one point. They are kept for a percentile alone, of which
// maxGathered bounds them.
type joint struct {
	cells        []cell
	some         bool
	column       float64 // the sum of the column under way
	sum, seconds float64 // of the columns' sums, each as long as it is
	weighed      float64 // the sum of the means, each by its weight
	weight, most float64
}

func (j *joint) add(c cell, keep bool) {
	if keep {
		j.cells = append(j.cells, c)
	}
	j.some, j.column = true, j.column+c.mean*c.pods
	j.weighed, j.weight, j.most = j.weighed+c.mean*c.weight, j.weight+c.weight, max(j.most, c.most)
}

// end ends a column that had cells.
func (j *joint) end(seconds float64) {
	j.sum, j.seconds, j.column = j.sum+j.column*seconds, j.seconds+seconds, 0
}

func (j *joint) value(a Aggregation) float64 {
	switch a {
	case Sum, Rate:
		return j.sum / j.seconds
	case Max:
		return j.most
	case P50, P90, P95, P99:
		return percentile(j.cells, quantiles[a])
	default:
		return j.weighed / j.weight
	}
}

var quantiles = map[Aggregation]float64{P50: 0.5, P90: 0.9, P95: 0.95, P99: 0.99}

// gathered refuses a percentile of more values than are kept for one point.
func gathered(q *Query, groups []*group, columns []stretch, step int64) error {
	if quantiles[q.Aggregation] == 0 {
		return nil
	}
	most, at, n := 0, int64(math.MinInt64), 0
	for _, c := range columns {
		if c.start/step != at {
			at, n = c.start/step, 0
		}
		n++
		most = max(most, n)
	}
	for _, g := range groups {
		if values := most * len(g.slots); values > maxGathered {
			return wrong("step", "is %s, which makes a percentile of up to %d values, where at most %d are: take a shorter step or more labels, or ask for avg or max",
				q.Step, values, maxGathered)
		}
	}
	return nil
}

// line joins the columns of one group to points.
func (h *History) line(q *Query, m *Metric, g *group, columns []stretch, step int64) Series {
	out := Series{Labels: g.labels}
	keep := quantiles[q.Aggregation] != 0
	var cells []cell
	for i := 0; i < len(columns); {
		at := columns[i].start / step * step
		j := joint{cells: cells[:0]}
		for ; i < len(columns) && columns[i].start < at+step; i++ {
			seconds, some := float64(columns[i].width), false
			for _, slot := range g.slots {
				if c, ok := h.cell(m, slot, columns[i].column); ok {
					c.weight = c.pods * seconds
					j.add(c, keep)
					some = true
				}
			}
			if some {
				j.end(seconds)
			}
		}
		if j.some {
			out.Points = append(out.Points, Point{time.Unix(at, 0), j.value(q.Aggregation)})
		}
		cells = j.cells
	}
	if q.Aggregation == Rate {
		out.Points = rates(out.Points)
	}
	return out
}

// cell reads a value; of sizes, it is one pod's.
func (h *History) cell(m *Metric, slot int, c *column) (cell, bool) {
	s := &h.slots[slot]
	pods := c.at(Pods, slot)
	if pods == 0 || c.start < s.since {
		return cell{}, false
	}
	n := math.Round(pods.decode()*100) / 100 // A mean over time may be a fraction.
	if m.size > 0 {
		code := s.size(m.size-1, c.start)
		v := code.decode()
		return cell{mean: v, most: v, pods: n}, code != 0
	}
	if m.mean == Pods {
		return cell{mean: n, most: n, pods: 1}, true
	}
	mean, most := c.at(m.mean, slot), c.at(m.max, slot)
	return cell{mean: mean.decode(), most: most.decode(), pods: n}, mean != 0
}

// size is what was in force at a time.
func (s *series) size(i int, at int64) code {
	var found code
	for _, c := range s.changes {
		if c.at > at {
			break
		}
		found = c.codes[i]
	}
	return found
}

// percentile of the means, each weighing as many pods, and as long, as it is of.
func percentile(cells []cell, q float64) float64 {
	slices.SortFunc(cells, func(a, b cell) int { return cmp.Compare(a.mean, b.mean) })
	var total float64
	for _, c := range cells {
		total += c.weight
	}
	var sum float64
	for _, c := range cells {
		if sum += c.weight; sum >= q*total-1e-9 {
			return c.mean
		}
	}
	return cells[len(cells)-1].mean
}

// rates are the changes a second from one point to the next.
func rates(points []Point) []Point {
	var out []Point
	for i := 1; i < len(points); i++ {
		seconds := points[i].Time.Sub(points[i-1].Time).Seconds()
		out = append(out, Point{points[i].Time, (points[i].Value - points[i-1].Value) / seconds})
	}
	return out
}

package object

// MaxLabels bounds the labels of one object that are kept; of one with more none
// are.
const MaxLabels = 64

// Label is one label.
type Label struct{ Key, Value string }

// Labels are those of one object; they implement labels.Labels of apimachinery.
type Labels []Label

// Lookup finds the value of a label.
func (l Labels) Lookup(key string) (value string, ok bool) {
	for i := range l {
		if l[i].Key == key {
			return l[i].Value, true
		}
	}
	return "", false
}

// Has says whether there is such a label.
func (l Labels) Has(key string) bool {
	_, ok := l.Lookup(key)
	return ok
}

// Get is the value of a label; empty where there is none.
func (l Labels) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}

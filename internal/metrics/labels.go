package metrics

// unattributed is the label of cost that no API key can be told for.
const unattributed = "(unattributed)"

// labels gives every id of a kind a label that no other has, so that different things never share
// a series. The store's labels are unique already; what it does not know could still be called like them.
type labels struct {
	byID  map[string]string
	taken map[string]bool
}

// newLabels returns labels of which no thing gets a reserved one.
func newLabels(reserved ...string) *labels {
	l := &labels{byID: map[string]string{}, taken: map[string]bool{"": true}}
	for _, r := range reserved {
		l.taken[r] = true
	}
	return l
}

// set gives the id a label, reserved or not.
func (l *labels) set(id, label string) { l.byID[id] = label }

// add gives the id the label wanted or, where that is taken, one that tells it apart. A known id
// keeps its label.
func (l *labels) add(id, wanted string) {
	if _, ok := l.byID[id]; ok {
		return
	}
	label := wanted
	if l.taken[label] {
		label = wanted + " (" + id[max(0, len(id)-6):] + ")"
	}
	for l.taken[label] {
		label += " (" + id + ")"
	}
	l.byID[id], l.taken[label] = label, true
}

// get is the id's label: the id itself where nothing else is known.
func (l *labels) get(id string) string {
	l.add(id, id)
	return l.byID[id]
}

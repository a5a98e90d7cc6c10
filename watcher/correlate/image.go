package correlate

import "fmt"

// image joins several workloads that cannot pull the same image.
type image struct{}

// Name implements Rule.
func (image) Name() string { return "image" }

// Links implements Rule.
func (image) Links() []Link {
	return []Link{{
		Causes: []string{anyImagePull}, Effects: []string{anyImagePull}, by: byImage, crowd: true,
		After: window, Confidence: 85,
		Basis: "several workloads cannot pull the same image for the same cause",
		fits:  func(a, b *problem) bool { return a.typ == b.typ },
	}, {
		Causes: []string{anyImagePull}, Effects: []string{anyImagePull}, by: byImage, crowd: true,
		After: window, Confidence: 70,
		Basis: "several workloads cannot pull the same image, for causes that are told differently",
	}}
}

// Leads implements Rule.
func (image) Leads(in *Picture) bool {
	return in.rootIsLike(prefixImage) && in.workloads() > 1
}

// Summary implements Rule.
func (image) Summary(in *Picture) string {
	return fmt.Sprintf("Image %s cannot be pulled in %s.", in.root.detail, in.whose())
}

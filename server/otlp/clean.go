package otlp

import (
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/rightsizer/rightsizer/server/text"
)

// maxText bounds each text of a span, in bytes.
const maxText = 512

// clean cuts and escapes all text that leaves.
func clean(spans []*tracepb.ResourceSpans) {
	for _, of := range spans {
		attributes(of.GetResource().GetAttributes())
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				harmless(&s.Name)
				harmless(&s.TraceState)
				if s.Status != nil {
					harmless(&s.Status.Message)
				}
				attributes(s.GetAttributes())
				for _, ev := range s.GetEvents() {
					harmless(&ev.Name)
					attributes(ev.GetAttributes())
				}
				for _, link := range s.GetLinks() {
					harmless(&link.TraceState)
					attributes(link.GetAttributes())
				}
			}
		}
	}
}

func harmless(s *string) { *s = text.Cut(text.Escape(*s), maxText) }

func attributes(all []*commonpb.KeyValue) {
	for _, pair := range all {
		harmless(&pair.Key)
		value(pair.GetValue())
	}
}

func value(v *commonpb.AnyValue) {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		harmless(&v.StringValue)
	case *commonpb.AnyValue_ArrayValue:
		for _, one := range v.ArrayValue.GetValues() {
			value(one)
		}
	case *commonpb.AnyValue_KvlistValue:
		attributes(v.KvlistValue.GetValues())
	}
}

package outbound

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/rightsizer/rightsizer/remediate/plain"
)

// Decision is what an answer says of a remediation.
type Decision string

// The decisions.
const (
	// None decides nothing.
	None Decision = "none"
	// Approve lets it go on.
	Approve Decision = "approve"
	// Veto stops it.
	Veto Decision = "veto"
)

// Verdict is a decision with its reason.
type Verdict struct {
	Decision Decision
	// Reason is for a person, one line of at most 1,024 bytes.
	Reason string
}

const maxReason = 1024

// ParseVerdict reads the answer to a question, in the form of doc.go.
func ParseVerdict(answer *Answer) (Verdict, error) {
	if answer.Status == http.StatusNoContent || len(answer.Body) == 0 {
		return Verdict{Decision: None}, nil
	}
	media, _, err := mime.ParseMediaType(answer.ContentType)
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return Verdict{}, fmt.Errorf("the answer's content type is %q; wants application/json", answer.ContentType)
	}
	var said struct {
		Decision Decision `json:"decision"`
		Reason   string   `json:"reason"`
	}
	if err := json.Unmarshal(answer.Body, &said); err != nil {
		return Verdict{}, errors.New(`the answer is not as expected; wants {"decision": "approve", "veto" or "none", "reason": "…"}`)
	}
	switch said.Decision {
	case None, Approve, Veto:
	default:
		return Verdict{}, fmt.Errorf(`the answer's decision is %q; wants "approve", "veto" or "none"`, said.Decision)
	}
	return Verdict{Decision: said.Decision, Reason: plain.Line(said.Reason, maxReason)}, nil
}

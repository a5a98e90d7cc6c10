package plain_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/remediate/plain"
)

func TestLine(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "grün, 日本 <b>", plain.Line("grün, 日本 <b>", 64))
	assert.Equal(t, "a b [31m 2J gnp   \uFFFD", plain.Line("a\nb\x1b[31m\u009b2J\u202egnp\u200b\u2028\U000e0041\xff", 64))
	assert.Equal(t, "日", plain.Line("日本", 5), "cut at a character")
	assert.Empty(t, plain.Line("日本", 0))
	assert.Empty(t, plain.Line("日本", -1))
}

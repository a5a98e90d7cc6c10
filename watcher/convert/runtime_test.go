package convert_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/object"
)

func runtimeOf(t *testing.T, c corev1.Container) *object.Pod {
	t.Helper()
	c.Name = "app"
	pod, err := convert.New().Pod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: "u"}, Spec: corev1.PodSpec{Containers: []corev1.Container{c}},
	})
	require.NoError(t, err)
	return pod
}

func TestMemorySettingsOfPrograms(t *testing.T) {
	env := func(name, value string) corev1.Container {
		return corev1.Container{Env: []corev1.EnvVar{{Name: "OTHER", Value: "-Xmx1g"}, {Name: name, Value: value}}}
	}
	for want, c := range map[*object.Runtime]corev1.Container{
		{GoMemLimitBytes: 100 << 20}:                 env("GOMEMLIMIT", "100MiB"),
		{GoMemLimitBytes: 5000}:                      env("GOMEMLIMIT", "5000"),
		{GoMemLimitBytes: 7}:                         env("GOMEMLIMIT", "7B"),
		{JVMHeapBytes: 512 << 20}:                    env("JAVA_OPTS", `-server "-Xmx512m" -Dx=y`),
		{JVMHeapBytes: 2 << 30, JVMRAMPercent: 75.5}: env("JAVA_TOOL_OPTIONS", "-XX:MaxRAMPercentage=75.5 -Xmx1g -Xmx2G"),
		{JVMHeapBytes: 3 << 20}:                      {Command: []string{"java", "-Xmx3145728", "-jar", "a.jar"}},
		{JVMHeapBytes: 4 << 30}:                      {Env: []corev1.EnvVar{{Name: "JAVA_OPTS", Value: "-Xmx1g"}}, Args: []string{"exec java -Xmx4g -jar a.jar"}},
		// _JAVA_OPTIONS has the last word, JAVA_TOOL_OPTIONS the first, in whatever order
		// they stand.
		{JVMHeapBytes: 6 << 30}: {Env: []corev1.EnvVar{{Name: "_JAVA_OPTIONS", Value: "-Xmx6g"}, {Name: "JAVA_TOOL_OPTIONS", Value: "-Xmx1g"}}, Args: []string{"java -Xmx4g"}},
		{JVMHeapBytes: 9 << 30}: {Env: []corev1.EnvVar{{Name: "JDK_JAVA_OPTIONS", Value: "-Xmx9g"}, {Name: "JAVA_TOOL_OPTIONS", Value: "-Xmx1g"}}},
	} {
		assert.Equal(t, want, runtimeOf(t, c).Containers[0].Runtime)
	}
	for _, nothing := range []corev1.Container{
		{}, env("GOMEMLIMIT", "off"), env("GOMEMLIMIT", "-1"), env("GOMEMLIMIT", "9999999999TiB"), env("JAVA_OPTS", "-Xmx -Xmxm -XX:MaxRAMPercentage=NaN"),
	} {
		assert.Nil(t, runtimeOf(t, nothing).Containers[0].Runtime)
	}
}

// Values of the environment may be secrets: none is kept in any form.
func TestNoOtherValueIsKept(t *testing.T) {
	pod := runtimeOf(t, corev1.Container{
		Env:  []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}, {Name: "JAVA_OPTS", Value: "-Dpassword=hunter2 -Xmx1g"}},
		Args: []string{"--password=hunter2"},
	})
	assert.EqualValues(t, 1<<30, pod.Containers[0].Runtime.JVMHeapBytes)
	assert.NotContains(t, fmt.Sprintf("%+v %+v", pod, pod.Containers[0].Runtime), "hunter2")
}

// Command protoc-gen-openapi is a plugin of buf and protoc that writes one OpenAPI
// document for each package; see package openapi. It reads a request on stdin.
package main

import (
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rightsizer/rightsizer/proto/openapi"
)

func main() { protogen.Options{}.Run(generate) }

func generate(plugin *protogen.Plugin) error {
	packages := map[protoreflect.FullName][]protoreflect.FileDescriptor{}
	for _, file := range plugin.Files {
		if file.Generate {
			packages[file.Desc.Package()] = append(packages[file.Desc.Package()], file.Desc)
		}
	}
	for name, files := range packages {
		document, err := openapi.Generate(files)
		if err != nil {
			return err
		}
		if _, err := plugin.NewGeneratedFile(string(name)+".yaml", "").Write(document); err != nil {
			return err
		}
	}
	return nil
}

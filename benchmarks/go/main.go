// go-smtp, which takes every message and drops it; says its port, and ends with its input.
package main

import (
	"fmt"
	"io"
	"io/ioutil"
	"log"
	"net"
	"os"

	"github.com/emersion/go-smtp"
)

type backend struct{}

func (backend) Login(*smtp.ConnectionState, string, string) (smtp.Session, error) {
	return nil, smtp.ErrAuthUnsupported
}

func (backend) AnonymousLogin(*smtp.ConnectionState) (smtp.Session, error) {
	return session{}, nil
}

type session struct{}

func (session) Mail(string, smtp.MailOptions) error { return nil }
func (session) Rcpt(string) error                   { return nil }
func (session) Reset()                              {}
func (session) Logout() error                       { return nil }

func (session) Data(body io.Reader) error {
	_, err := io.Copy(ioutil.Discard, body)
	return err
}

func main() {
	server := smtp.NewServer(backend{})
	server.Domain = "server.example"
	server.MaxMessageBytes = 512 * 1024 * 1024
	server.AuthDisabled = true
	server.ErrorLog = log.New(ioutil.Discard, "", 0) // a load that ends cuts its connections
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go server.Serve(listener)
	io.Copy(ioutil.Discard, os.Stdin)
}

// A real Vault for tests: the server's own core, transit engine and HTTP handler, unsealed, with
// its storage in memory, on a free port of the loopback. It prints its address and root token as
// one line, and runs until its input ends.
//
// The vault program itself carries every plugin there is, most of which this machine's registries
// need not have. 1.13.0 is the first version that authenticates associated data.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	core, token, err := unsealed()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	address := listener.Addr().String()
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{Address: address},
	})
	go func() { log.Fatal(http.Serve(listener, handler)) }()
	fmt.Printf("http://%s %s\n", address, token)
	io.Copy(io.Discard, os.Stdin)
}

// unsealed makes a Vault with one key share and a mount of transit, and tells its root token.
func unsealed() (*vault.Core, string, error) {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, "", err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		LogicalBackends: map[string]logical.Factory{"transit": transit.Factory},
		BuiltinRegistry: onlyTransit{},
		DisableMlock:    true,
		Logger:          logger,
	})
	if err != nil {
		return nil, "", err
	}
	shares := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1, StoredShares: 1}
	made, err := core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: shares})
	if err != nil {
		return nil, "", err
	}
	if _, err := core.Unseal(made.SecretShares[0]); err != nil {
		return nil, "", err
	}
	_, err = core.HandleRequest(namespace.RootContext(context.Background()), &logical.Request{
		Operation:   logical.UpdateOperation,
		ClientToken: made.RootToken,
		Path:        "sys/mounts/transit",
		Data:        map[string]interface{}{"type": "transit"},
	})
	return core, made.RootToken, err
}

// onlyTransit is the list of plugins that come with this server.
type onlyTransit struct{}

func (onlyTransit) Contains(name string, kind consts.PluginType) bool {
	return name == "transit" && kind == consts.PluginTypeSecrets
}

func (onlyTransit) Get(string, consts.PluginType) (func() (interface{}, error), bool) {
	return nil, false
}

func (onlyTransit) Keys(kind consts.PluginType) []string {
	if kind == consts.PluginTypeSecrets {
		return []string{"transit"}
	}
	return nil
}

func (list onlyTransit) DeprecationStatus(
	name string, kind consts.PluginType,
) (consts.DeprecationStatus, bool) {
	return consts.Supported, list.Contains(name, kind)
}

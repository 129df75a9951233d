# Nomad with its own service discovery, which has no DNS: a template of the task writes who is there into a file, which is
# read when it changes. With Consul it is shorter: FAIRLEAD_SERVICE_PAYMENTS = "consul://payments".
# `nomad job run shop.nomad.hcl`
job "shop" {
  group "payments" {
    count = 3
    network {
      port "http" {}
    }
    service {
      name     = "payments"
      port     = "http"
      provider = "nomad"
      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "1s"
      }
    }
    task "payments" {
      driver       = "docker"
      kill_timeout = "30s"
      # Gone from discovery first, stopped then.
      shutdown_delay = "5s"
      config {
        image        = "registry.example.invalid/fairlead-example:1"
        command      = "node"
        args         = ["payments.mjs"]
        network_mode = "host"
      }
      env {
        PORT = "${NOMAD_PORT_http}"
      }
    }
  }

  group "shop" {
    network {
      port "http" {
        static = 3000
      }
    }
    task "shop" {
      driver       = "docker"
      kill_timeout = "30s"
      config {
        image        = "registry.example.invalid/fairlead-example:1"
        command      = "node"
        args         = ["shop.mjs"]
        network_mode = "host"
      }
      template {
        destination = "local/payments.json"
        # Nothing has to be restarted.
        change_mode = "noop"
        data        = <<END
{ "endpoints": [{{ range $i, $s := nomadService "payments" }}{{ if $i }}, {{ end }}"http://{{ $s.Address }}:{{ $s.Port }}"{{ end }}] }
END
      }
      env {
        PORT                      = "${NOMAD_PORT_http}"
        FAIRLEAD_SERVICE_PAYMENTS = "file://${NOMAD_TASK_DIR}/payments.json"
      }
    }
  }
}

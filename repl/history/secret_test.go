package history_test

import (
	"testing"

	"github.com/nacre-sh/nacre/repl/history"
)

func TestSecret(t *testing.T) {
	secret := []string{
		" ps",
		"login -u me -p hunter2 registry",
		"login -phunter2 registry",
		"docker login --password hunter2",
		"login --password=hunter2 --username me",
		"run -e MYSQL_ROOT_PASSWORD=x mysql",
		"run -eMYSQL_ROOT_PASSWORD=x mysql",
		"run --env=GITHUB_TOKEN=x app",
		"run --env 'API_KEY=x' app",
		"AWS_SECRET_ACCESS_KEY=x run app",
		"export db_passwd=x",
		"build --build-arg NPM_TOKEN=x .",
		"mirror add https://me:hunter2@mirror.example",
		"echo hunter2 | login -u me --password-stdin",
		"login -u me --password-stdin <<< hunter2",
		"printf x | docker secret create db -",
		"!curl -u me:hunter2 https://host",
		"exec db mysql -u root -phunter2",
		"run app --key ghp_0123456789abcdefghij0123",
		"run app eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x",
		"!curl -H 'Authorization: Bearer abc' host",
	}
	for _, line := range secret {
		if !history.Secret(line) {
			t.Errorf("%q would be stored", line)
		}
	}
	plain := []string{
		"ps -a", "run -p 8080:80 nginx", "login registry", "login --password-stdin -u me",
		"run -d -p 80:80 --name login nginx", "pull registry:5000/a@sha256:00", "volume create secrets",
		"secret ls", "run -e MYSQL_DATABASE=x mysql", "build --secret id=npm .", "inspect token-service",
		"login; run -p 80:80 nginx",
		"cat pw.txt | login -u me --password-stdin", "exec db mysql -u root -p", "curl -u me https://host",
	}
	for _, line := range plain {
		if history.Secret(line) {
			t.Errorf("%q would not be stored", line)
		}
	}
}

//go:build cgo

// A container's first process for --init: it starts the command, passes every
// signal on to it, and waits for all processes that are left to it. It runs
// before Go's runtime does, so that it needs no more memory than it touches.

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

// The program is this one when it is called by this name.
static const char NAME[] = "docker-init";

static const char *base(const char *path) {
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

// Runs the command in the child: a process group of its own, in the terminal's
// foreground, with the signals as we got them.
static void run(char **argv, const sigset_t *mask) {
	setpgid(0, 0);
	tcsetpgrp(STDIN_FILENO, getpid()); // fails without a terminal
	signal(SIGTTIN, SIG_DFL);
	signal(SIGTTOU, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	int code = errno == ENOENT ? 127 : 126;
	fprintf(stderr, "%s: exec %s failed: %s\n", NAME, argv[0], strerror(errno));
	_exit(code);
}

static int status_of(int status) {
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Waits for whoever has ended. Returns the command's status once it has, else -1.
static int reap(pid_t command) {
	int status, code = -1;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == command)
			code = status_of(status);
	return code;
}

static int serve(int argc, char **argv) {
	char **command = argv + 1;
	if (argc > 1 && strcmp(argv[1], "--") == 0)
		command++;
	if (command >= argv + argc) {
		fprintf(stderr, "%s: no command to run\n", NAME);
		return 2;
	}
	sigset_t all, before;
	sigfillset(&all);
	// Faults of this program must not wait.
	const int faults[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		sigdelset(&all, faults[i]);
	sigprocmask(SIG_SETMASK, &all, &before);
	signal(SIGTTIN, SIG_IGN); // the terminal is the command's
	signal(SIGTTOU, SIG_IGN);
	if (getpid() != 1) // in a process namespace that is not our own
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t child = fork();
	if (child < 0) {
		fprintf(stderr, "%s: fork failed: %s\n", NAME, strerror(errno));
		return 1;
	}
	if (child == 0)
		run(command, &before);
	for (;;) {
		siginfo_t info;
		if (sigwaitinfo(&all, &info) < 0)
			continue; // EINTR: we were stopped and go on
		if (info.si_signo != SIGCHLD) {
			kill(child, info.si_signo); // it may be gone by now: SIGCHLD follows
			continue;
		}
		int code = reap(child);
		if (code >= 0)
			return code;
	}
}

__attribute__((constructor)) static void init(int argc, char **argv) {
	if (argc > 0 && strcmp(base(argv[0]), NAME) == 0)
		_exit(serve(argc, argv));
}

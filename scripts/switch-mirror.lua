-- Shows the mirrors of a registry, tests them, and switches to the fastest that
-- works, or to the named one.
--
--   nacre switch-mirror.lua                    the mirrors of docker.io
--   nacre switch-mirror.lua ghcr.io            those of another registry
--   nacre switch-mirror.lua --to fast          no test: switch to this name or URL
--   nacre switch-mirror.lua --list             show and test, switch nothing

local registry, target, list_only = "docker.io", nil, false

local function usage(problem)
  if problem then nacre.log.error(problem) end
  io.stderr:write("usage: switch-mirror.lua [--list] [--to NAME|URL] [REGISTRY]\n")
  os.exit(problem and 125 or 0)
end

local i = 1
while arg[i] do
  local word = arg[i]
  if word == "--to" then
    i = i + 1
    target = arg[i] or usage("--to wants a name or an URL")
  elseif word == "--list" then list_only = true
  elseif word == "--help" or word == "-h" then usage()
  elseif word:sub(1, 1) == "-" then usage("what is " .. word .. "?")
  else registry = word end
  i = i + 1
end

local function switch(to)
  nacre.mirrors.use(registry, to)
  print(registry .. ": pulls ask " .. to .. " first")
end

if target then return switch(target) end

if #nacre.mirrors.ls(registry) == 0 then
  print(registry .. " has no mirrors. Add one: mirror add " .. registry .. " URL")
  return
end

-- The test's list starts with the source that answered fastest.
local best
for _, m in ipairs(nacre.mirrors.test(registry)) do
  print(string.format("%-40s %-12s %s", m.URL, m.Latency, m.Result))
  if not best and m.Result == "ok" and m.Name ~= "origin" then best = m end
end

if list_only then return end
if not best then
  nacre.log.error("no mirror of " .. registry .. " works; nothing changed")
  os.exit(1)
end
switch(best.Name ~= "" and best.Name or best.URL)

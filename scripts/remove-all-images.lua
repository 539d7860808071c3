-- Removes all images, or all that match a filter, several at the same time.
--
--   nacre remove-all-images.lua [--yes] [--force] [--keep-used] [--parallel N] [FILTER=VALUE...]
--   nacre remove-all-images.lua --yes dangling=true
--   nacre remove-all-images.lua reference='127.0.0.1:5000/*'

local options = { yes = false, force = false, keep_used = false, parallel = 8 }
local filters = {}

local function usage(problem)
  if problem then nacre.log.error(problem) end
  io.stderr:write("usage: remove-all-images.lua [--yes] [--force] [--keep-used] [--parallel N] [FILTER=VALUE...]\n")
  os.exit(problem and 125 or 0)
end

local i = 1
while arg[i] do
  local word = arg[i]
  local key, value = word:match("^([%w_-]+)=(.+)$")
  if word == "--yes" or word == "-y" then options.yes = true
  elseif word == "--force" or word == "-f" then options.force = true
  elseif word == "--keep-used" then options.keep_used = true
  elseif word == "--parallel" then
    i = i + 1
    options.parallel = tonumber(arg[i]) or usage("--parallel wants a number")
  elseif word == "--help" or word == "-h" then usage()
  elseif key and word:sub(1, 1) ~= "-" then
    filters[key] = filters[key] or {}
    table.insert(filters[key], value)
  else usage("what is " .. word .. "?") end
  i = i + 1
end

local images = nacre.images{ filters = filters }

if options.keep_used then
  local used, free = {}, {}
  for _, c in ipairs(nacre.containers{ all = true }) do used[c.image_id] = true end
  for _, img in ipairs(images) do
    if not used[img.id] then table.insert(free, img) end
  end
  images = free
end

if #images == 0 then
  print("No images to remove.")
  return
end

for _, img in ipairs(images) do
  local name = img.names[1] or "<none>"
  if #img.names > 1 then name = name .. " and " .. (#img.names - 1) .. " more" end
  print(string.format("%s  %9s  %s", img.short_id, nacre.size(img.size), name))
end

local function count(n) return n .. (n == 1 and " image" or " images") end

if not options.yes and not nacre.confirm("Remove " .. count(#images) .. "?") then
  print("Nothing removed.")
  os.exit(1)
end

-- An image with several names goes name by name: by its id the engine would
-- want force, which also removes what stopped containers use.
local function remove_names(img)
  for _, name in ipairs(img.names) do
    local r = nacre.cmd.rmi{ name, check = false }
    if not r.ok then return { ok = false, error = (r.err:gsub("%s+$", "")) } end
  end
  return { ok = true }
end

local removed, failed, size = 0, 0, 0
for n, r in ipairs(nacre.remove_all(images, { force = options.force, parallel = options.parallel })) do
  local img = images[n]
  if r.class == "conflict" and #img.names > 1 then r = remove_names(img) end
  if r.ok or r.class == "not_found" then -- another one took it with it
    removed, size = removed + 1, size + img.size
  else
    failed = failed + 1
    nacre.log.error(img.short_id .. ": " .. r.error)
  end
end

print("Removed " .. count(removed) .. ", " .. nacre.size(size) .. " (a layer of several images counts for each).")
if failed > 0 then os.exit(1) end

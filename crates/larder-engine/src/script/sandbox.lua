-- sandbox: what scripts see as their globals. Runs once per interpreter, before any script.
-- Takes    the globals, `redis` and the other libraries included; a function that raises "readonly table";
--          a function that raises "nonexistent global variable"
-- Returns  the table that holds the visible globals (KEYS and ARGV go there), the table that scripts get as _G
--
-- A protected table is empty: reading falls through to the real one, and every write meets __newindex.
local all, readonly, missing = ...

local protected = setmetatable({}, {__mode = 'k'})
local function protect(real)
  local shown = setmetatable({}, {__index = real, __newindex = readonly, __metatable = false, readonly = true})
  protected[shown] = real
  return shown
end

local visible = {}
for _, name in ipairs {
  '_VERSION', 'assert', 'bit', 'cjson', 'cmsgpack', 'collectgarbage', 'coroutine', 'error', 'gcinfo', 'getmetatable', 'ipairs',
  'math', 'next', 'pairs', 'rawequal', 'rawget', 'redis', 'select', 'string', 'struct', 'table', 'tonumber', 'tostring', 'type',
  'unpack',
} do
  local value = all[name]
  if type(value) == 'table' then value = protect(value) end
  visible[name] = value
end
local of_strings = getmetatable('')
of_strings.__index, of_strings.__metatable = visible.string, false

-- An error that Redis raises is a table; `pcall` hands out its text, as it did when errors were texts.
local pcall, type = pcall, type
local function outcome(ok, raised, ...)
  if not ok and type(raised) == 'table' then
    local text = raised.err
    if type(text) == 'string' or type(text) == 'number' then return false, text end
  end
  return ok, raised, ...
end
function visible.pcall(...) return outcome(pcall(...)) end

-- Lua's own xpcall calls the handler while no hook can end it.
local error, select = error, select
local function handled(handler, ok, ...)
  if ok then return true, ... end
  local settled, value = pcall(handler, (...))
  if not settled then value = 'error in error handling' end
  return false, value
end
function visible.xpcall(...)
  if select('#', ...) < 2 then error("bad argument #2 to 'xpcall' (value expected)", 2) end
  local body, handler = ...
  return handled(handler, pcall(body))
end

local refused = 'Attempt to modify a readonly table'
local rawset, setmetatable = rawset, setmetatable
function visible.rawset(table, key, value)
  if protected[table] then error(refused, 0) end
  return rawset(table, key, value)
end
function visible.setmetatable(table, metatable)
  if protected[table] then error(refused, 0) end
  return setmetatable(table, metatable)
end

-- What is shown empty is walked as what it stands for.
local next, pairs, rawget = next, pairs, rawget
function visible.next(table, key) return next(protected[table] or table, key) end
function visible.pairs(table) return visible.next, table, nil end
function visible.rawget(table, key) return rawget(protected[table] or table, key) end

-- Precompiled chunks are trusted by Lua and refused here; the text is Lua's own for a stray byte.
local loadstring, concat, byte = loadstring, table.concat, string.byte
function visible.loadstring(text, name)
  if type(text) == 'string' and byte(text, 1) == 27 then
    return nil, "[string \"?\"]:1: unexpected symbol near 'char(27)'"
  end
  return loadstring(text, name)
end
function visible.load(reader, name)
  local pieces = {}
  for piece in reader do
    if type(piece) ~= 'string' then error('reader function must return a string', 0) end
    if piece == '' then break end
    pieces[#pieces + 1] = piece
  end
  return visible.loadstring(concat(pieces), name or '=(load)')
end

local globals = protect(visible)
visible._G = globals
setmetatable(visible, {__index = missing})
return visible, globals

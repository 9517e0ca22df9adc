--[[
mdn for darktable: an export target that removes noise and brings the result back.

Install: copy this file to the folder lua in the folder of darktable's settings
(~/.config/darktable on Linux and macOS, %LOCALAPPDATA%\darktable on Windows) and add the line
    require "mdn"
to the file luarc beside that folder. mdn must be on the PATH, or named in the preferences
(Lua options).

Use: in the lighttable choose "denoise with mdn" as the target of the export, and as the format
TIFF with 16 bits. Switch off darktable's own denoising and sharpening first: mdn measures the
noise as the camera left it. The results lie beside the originals, and are grouped with them.
]]

local dt = require "darktable"

local MODULE = "mdn"

-- What the exit codes of mdn mean, for a person.
local REASONS = {
  [0] = "no result was written",
  [1] = "an error inside mdn",
  [2] = "mdn did not understand the command",
  [3] = "some files could not be denoised",
  [4] = "the file could not be denoised",
  [5] = "out of memory",
  [6] = "a model of mdn is missing or damaged",
  [8] = "the cluster of mdn is gone",
  [126] = "mdn cannot be run",
  [127] = "mdn was not found: name it in the preferences, Lua options",
  [130] = "interrupted",
  [143] = "stopped",
}

dt.preferences.register(MODULE, "command", "file", "mdn: the program",
  "Leave empty where mdn is on the PATH", "")

local strength = dt.new_widget("slider") {
  label = "strength", tooltip = "1 removes all noise, 0 none",
  hard_min = 0, hard_max = 1, soft_min = 0, soft_max = 1, step = 0.05, digits = 2, value = 1,
}
local quality = dt.new_widget("combobox") {
  label = "quality", tooltip = "best takes some 15 times as long as balanced",
  selected = 2, "fast", "balanced", "best",
}

local windows = dt.configuration.running_os == "windows"

-- One word of a command line, whatever is in it.
local function quoted(text)
  if windows then
    return '"' .. text:gsub('"', '') .. '"'
  end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- A name beside the original that no file has yet.
local function free_name(image)
  local stem = image.path .. "/" .. image.filename:gsub("%.[^.]*$", "") .. "_denoised"
  local path, count = stem .. ".tif", 1
  while exists(path) do
    path, count = stem .. "_" .. count .. ".tif", count + 1
  end
  return path
end

-- The exit code: darktable gives it as it is, or as the system call left it (times 256).
local function run(command)
  local status = dt.control.execute(command)
  if status > 255 then
    return math.floor(status / 256)
  end
  return status
end

local function denoise(exported, target)
  local program = dt.preferences.read(MODULE, "command", "file")
  if program == "" then program = "mdn" end
  -- Of all locales the number must keep its point.
  local share = string.format("%.2f", strength.value):gsub(",", ".")
  local words = { quoted(program), "denoise", quoted(exported), "-o", quoted(target), "--quiet",
    "--strength", share, "--quality", quality.value }
  local command = table.concat(words, " ")
  if windows then command = '"' .. command .. '"' end
  return run(command)
end

local function store(storage, image, format, exported, number, total)
  dt.print(string.format("mdn: %d of %d exported", number, total))
end

local function finalize(storage, images, extra)
  local total, number, failed = 0, 0, 0
  for _ in pairs(images) do total = total + 1 end
  local job = dt.gui.create_job("mdn", true)
  for image, exported in pairs(images) do
    local target = free_name(image)
    local code = denoise(exported, target)
    number = number + 1
    job.percent = number / total
    if code == 0 and exists(target) then
      dt.database.import(target):group_with(image.group_leader)
    else
      failed = failed + 1
      dt.print("mdn: " .. image.filename .. ": " .. (REASONS[code] or ("exit code " .. code)))
    end
    os.remove(exported)
    if code == 127 or code == 130 then break end
  end
  job.valid = false
  if failed == 0 then dt.print("mdn: " .. total .. " denoised") end
end

-- Only formats that keep 16 bits, for the result is edited further.
local function supported(storage, format)
  return format.plugin_name == "tiff" or format.plugin_name == "png"
end

dt.register_storage(MODULE, "denoise with mdn", store, finalize, supported, nil,
  dt.new_widget("box") { orientation = "vertical", strength, quality })

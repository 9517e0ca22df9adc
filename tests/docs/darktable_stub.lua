-- A stand-in for darktable. Arguments: the script, the program it is to call, a folder with the
-- exported file, and the factor by which exit codes come back. It exports one picture.
local script, program, folder, factor = table.unpack(arg)
local exported = folder .. "/exported.tif"
local store, finalize, supported

package.loaded["darktable"] = {
  preferences = { register = function() end, read = function() return program end },
  new_widget = function()
    return function(options)
      options.value = options.value or options[options.selected]
      return options
    end
  end,
  configuration = { running_os = "linux" },
  control = {
    execute = function(command)
      local _, _, code = os.execute(command)
      return code * factor
    end,
  },
  print = function(text) print("said: " .. text) end,
  gui = { create_job = function() return {} end },
  database = {
    import = function(path)
      print("imported: " .. path)
      return { group_with = function() print("grouped") end }
    end,
  },
  register_storage = function(_, _, ...) store, finalize, supported = ... end,
}
dofile(script)
assert(supported(nil, { plugin_name = "tiff" }) and not supported(nil, { plugin_name = "jpeg" }))
local image = { path = folder, filename = "it's.CR3", group_leader = {} }
store(nil, image, nil, exported, 1, 1)
finalize(nil, { [image] = exported }, nil)

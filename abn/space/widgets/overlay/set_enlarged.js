(on) => { document.getElementById('abn-overlay').classList.toggle('abn-enlarged', on); }
